// WXML as its linter sees it; every finding is an error.

import * as parser from '@wxml/parser'
import wxml from 'eslint-plugin-wxml'

const RULES = [
  'no-const-and-let-in-wxs', 'no-dot-this-in-wx-key', 'no-duplicate-attributes', 'no-dynamic-wx-key', 'no-inconsistent-tagname',
  'no-index-in-wx-key', 'no-unexpected-string-bool', 'no-vue-directive', 'no-wx-for-with-wx-else', 'no-wx-for-with-wx-if', 'no-wx-if-string',
  'report-interpolation-error', 'report-wxml-syntax-error', 'report-wxs-syntax-error', 'wx-key', 'wxs-module-prop', 'wxs-must-be-top-level',
]

export default [
  {
    files: ['miniprogram/**/*.wxml'],
    plugins: { wxml },
    languageOptions: { parser },
    rules: Object.fromEntries(RULES.map((name) => [`wxml/${name}`, 'error'])),
  },
]
