// What the mini-program is made of, as app.json and each page's and component's .json say: nothing else is built.

import { existsSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

export const HOME = fileURLToPath(new URL('..', import.meta.url))
export const ROOT = join(HOME, 'miniprogram')

export const read = (path) => readFileSync(join(ROOT, path), 'utf8')
export const has = (path) => existsSync(join(ROOT, path))
export const json = (path) => JSON.parse(read(path))

/** A path that a file names, from the root of the source, without a leading slash. */
export const resolved = (from, named) =>
  named.startsWith('/') ? named.slice(1) : posix.normalize(posix.join(posix.dirname(from), named))

/**
 * The app's configuration and its units: `{path, kind: 'page' | 'component', config}`; `config.usingComponents` holds
 * absolute paths, those of app.json included. Throws an Error that names every file that is missing.
 */
export function source() {
  const app = json('app.json')
  const units = new Map()
  const missing = []
  const add = (path, kind) => {
    if (units.has(path)) return
    missing.push(...['js', 'json', 'wxml'].map((end) => `${path}.${end}`).filter((file) => !has(file)))
    const own = has(`${path}.json`) ? json(`${path}.json`) : {}
    const using = { ...app.usingComponents, ...own.usingComponents }
    const components = Object.entries(using).map(([tag, named]) => [tag, `/${resolved(path, named)}`])
    units.set(path, { path, kind, config: { ...own, usingComponents: Object.fromEntries(components) } })
    for (const [, component] of components) add(component.slice(1), 'component')
  }
  for (const path of app.pages) add(path, 'page')
  if (missing.length) throw new Error(`missing: ${missing.join(', ')}`)
  return { app, units: [...units.values()] }
}

/** The tags of components that anything uses, by path: what `:host` stands for in their styles. */
export function hostTags(units) {
  const tags = new Map()
  for (const { config } of units) {
    for (const [tag, path] of Object.entries(config.usingComponents)) {
      tags.set(path.slice(1), (tags.get(path.slice(1)) ?? new Set()).add(tag))
    }
  }
  return tags
}
