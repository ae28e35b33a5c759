// Builds the mini-program for a browser: `node harness/build.mjs [folder]`, into dist/ if none is named.
//
// One script, one style sheet, one page and the app's own pictures. What is wrong in the source is told all at once, with
// file and line, and nothing is written then.

import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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
  rmSync(into, { recursive: true, force: true })
  mkdirSync(into, { recursive: true })
  writeFileSync(join(into, 'mini.js'), made.outputFiles[0].contents)
  writeFileSync(join(into, 'mini.css'), css)
  cpSync(join(RUNTIME, 'index.html'), join(into, 'index.html'))
  if (has('images')) cpSync(join(ROOT, 'images'), into, { recursive: true })
  const kib = (size) => `${Math.ceil(size / 1024)} KiB`
  console.log(`${found.units.length} pages and components, ${kib(made.outputFiles[0].contents.length)} of script, ${kib(css.length)} of style`)
}

main(process.argv[2] ?? join(HOME, 'dist')).catch((error) => {
  console.error(error.message)
  process.exit(1)
})
