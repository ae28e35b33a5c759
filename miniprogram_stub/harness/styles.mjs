// WXSS as CSS: rpx, imports, tags, and the walls between pages and components that WeChat keeps.

import postcss from 'postcss'
import selectorParser from 'postcss-selector-parser'
import { has, read, resolved } from './source.mjs'
import { BUILT_IN } from './runtime/tags.js'

const RPX = /(-?(?:\d+\.)?\d+)rpx\b/g

/** `12rpx` as CSS: a screen is 750 wide, and a wide one is shown as a telephone. */
export const rpx = (text) => text.replaceAll(RPX, 'calc(var(--rpx) * $1)')

const WALLED = new Set(['id', 'attribute', 'tag', 'universal'])
const isTag = (name) => name === 'page' || BUILT_IN.has(name)

function parsed(path, faults, above = []) {
  if (above.includes(path)) throw new Error(`${path} imports itself`)
  if (!has(path)) {
    faults.push(`${path} is missing`)
    return postcss.root()
  }
  const root = postcss.parse(read(path), { from: path })
  root.walkAtRules('import', (rule) => {
    const named = resolved(path, rule.params.replaceAll(/["';]|url\(|\)/g, '').trim())
    rule.replaceWith(parsed(named, faults, [...above, path]).nodes)
  })
  return root
}

/**
 * The CSS of one file. Of a page all rules hold inside that page only; of a component classes carry its `scope` and
 * nothing but classes and `:host` may be named, as in WeChat.
 */
function css({ path, kind, scope, hosts }, faults) {
  const root = parsed(`${path}.wxss`, faults)
  const change = selectorParser((selectors) => {
    selectors.walk((node) => {
      const isHost = node.type === 'pseudo' && node.value === ':host'
      if (kind === 'component' && WALLED.has(node.type)) faults.push(`${path}.wxss: ${node} in a component`)
      else if (node.type === 'tag' && isTag(node.value)) node.value = `wx-${node.value}`
      else if (node.type === 'class' && kind === 'component') node.value = `${scope}--${node.value}`
      else if (isHost) node.value = `:is(${[...hosts].join(', ')})`
    })
    if (kind !== 'page') return
    selectors.each((selector) => {
      const is = selectorParser().astSync(`:where([is="${path}"])`).first
      if (selector.first.type === 'tag' && selector.first.value === 'wx-page') selector.insertAfter(selector.first, is.first)
      else selector.prepend(selectorParser.combinator({ value: ' ' })), selector.prepend(is.first)
    })
  })
  root.walkRules((rule) => {
    if (rule.parent?.type === 'atrule' && /keyframes$/.test(rule.parent.name)) return
    rule.selector = change.processSync(rule.selector)
  })
  root.walkDecls((declaration) => {
    declaration.value = rpx(declaration.value)
  })
  return root.toString()
}

/** All styles of the app in the order in which WeChat applies them. */
export function styles(units, hosts, faults) {
  const files = [{ path: 'app', kind: 'app' }]
  for (const { path, kind } of units) {
    files.push({ path, kind, scope: scopeOf(path), hosts: hosts.get(path) ?? new Set() })
  }
  const order = { app: 0, component: 1, page: 2 }
  return files
    .filter(({ path }) => has(`${path}.wxss`))
    .sort((a, b) => order[a.kind] - order[b.kind])
    .map((file) => `/* ${file.path}.wxss */\n${css(file, faults)}`)
    .join('\n')
}

/** What a component's classes begin with. */
export const scopeOf = (path) => path.split('/').at(-1)
