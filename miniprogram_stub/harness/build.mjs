// Builds the mini-program for a browser: `node harness/build.mjs [folder]`, into dist/ if none is named.
//
// One script, one style sheet, one page and the app's own pictures. What is wrong in the source is told all at once, with
// file and line, and nothing is written then.

import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { HOME, ROOT, has, hostTags, source } from './source.mjs'
import { rpx, scopeOf, styles } from './styles.mjs'
import { templates } from './templates.mjs'

const RUNTIME = join(HOME, 'harness', 'runtime')

/** The program that starts the engine with all that the app is made of. */
function program({ app, units }, faults) {
  const of = (kind) => units.filter((unit) => unit.kind === kind)
  const loader = (path) => `${JSON.stringify(path)}: () => require(${JSON.stringify(join(ROOT, `${path}.js`))})`
  const configs = Object.fromEntries(units.map(({ path, config, kind }) => [path, { ...config, component: kind === 'component' }]))
  return `
    const { start } = require(${JSON.stringify(join(RUNTIME, 'boot.js'))})
    start({
      app: ${JSON.stringify(app)},
      configs: ${JSON.stringify(configs)},
      scopes: ${JSON.stringify(Object.fromEntries(of('component').map(({ path }) => [path, scopeOf(path)])))},
      templates: ${templates(units, faults)},
      loaders: { ${['app', ...[...of('component'), ...of('page')].map(({ path }) => path)].map(loader).join(', ')} },
    })`
}

/** Each file is there whole or not at all, whoever builds beside us; what is not made any more goes. */
function place(into, files) {
  mkdirSync(into, { recursive: true })
  for (const [name, content] of Object.entries(files)) {
    const half = join(into, `.${name}.${process.pid}`)
    writeFileSync(half, content)
    renameSync(half, join(into, name))
  }
  readdirSync(into).filter((name) => !name.startsWith('.') && !(name in files)).forEach((name) => rmSync(join(into, name)))
}

async function main(into) {
  const faults = []
  const found = source()
  const code = program(found, faults)
  const css = rpx(readFileSync(join(RUNTIME, 'base.css'), 'utf8')) + styles(found.units, hostTags(found.units), faults)
  if (faults.length) throw new Error(faults.join('\n'))
  const made = await build({
    stdin: { contents: code, resolveDir: HOME, loader: 'js' },
    bundle: true,
    minify: true,
    write: false,
    format: 'iife',
    target: 'es2022',
    legalComments: 'none',
    define: { 'process.env.NODE_ENV': '"production"' },
    logLevel: 'silent',
  })
  if (made.warnings.length) throw new Error(made.warnings.map(({ text, location }) => `${location?.file}:${location?.line} ${text}`).join('\n'))
  const images = has('images') ? readdirSync(join(ROOT, 'images')) : []
  place(into, {
    'mini.js': made.outputFiles[0].contents,
    'mini.css': css,
    'index.html': readFileSync(join(RUNTIME, 'index.html')),
    ...Object.fromEntries(images.map((name) => [name, readFileSync(join(ROOT, 'images', name))])),
  })
  const kib = (size) => `${Math.ceil(size / 1024)} KiB`
  console.log(`${found.units.length} pages and components, ${kib(made.outputFiles[0].contents.length)} of script, ${kib(css.length)} of style`)
}

main(process.argv[2] ?? join(HOME, 'dist')).catch((error) => {
  console.error(error.message)
  process.exit(1)
})
