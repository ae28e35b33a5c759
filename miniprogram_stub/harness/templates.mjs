// WXML and WXS, compiled by WeChat's own template compiler into functions of the engine. Every warning is an error.

import { createRequire } from 'node:module'
import { has, read } from './source.mjs'

const { TmplGroup } = createRequire(import.meta.url)('glass-easel-template-compiler')

// WXS has no `new RegExp` and no `new Date`; a browser has no getRegExp and no getDate.
const WXS = 'var getRegExp=function(p,f){return new RegExp(p,f)},getDate=function(a){return arguments.length?new Date(a):new Date()};\n'

/** The source of an expression that yields all templates by path; `faults` gets what is wrong, with file and line. */
export function templates(units, faults) {
  const group = new TmplGroup()
  const known = new Set()
  const addScript = (path) => {
    if (known.has(`${path}.wxs`)) return
    known.add(`${path}.wxs`)
    if (!has(`${path}.wxs`)) return void faults.push(`${path}.wxs is missing`)
    group.addScript(path, WXS + read(`${path}.wxs`).replaceAll(/require\((['"])(.+?)\.wxs\1\)/g, "require('$2')"))
  }
  const addTemplate = (path) => {
    if (known.has(path)) return
    known.add(path)
    if (!has(`${path}.wxml`)) return void faults.push(`${path}.wxml is missing`)
    for (const found of group.addTmpl(path, read(`${path}.wxml`))) {
      faults.push(`${path}.wxml:${found.startLine + 1}:${found.startColumn + 1} ${found.message}`)
    }
    for (const name of group.getInlineScriptModuleNames(path)) {
      group.setInlineScript(path, name, WXS + group.getInlineScript(path, name))
    }
    group.getDirectDependencies(path).forEach(addTemplate)
    group.getScriptDependencies(path).forEach(addScript)
  }
  units.forEach(({ path }) => addTemplate(path))
  const code = group.getTmplGenObjectGroups()
  group.free()
  return code
}
