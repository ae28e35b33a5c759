// WeChat's own compilers take the source: `node harness/compilers.mjs`. What they say is an error, whatever its level.
//
// They are the ones that DevTools had in 2020, so newer syntax may be refused; what they take, DevTools takes.

import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { ROOT } from './source.mjs'

const BIN = join(dirname(createRequire(import.meta.url).resolve('miniprogram-compiler/package.json')), 'bin', 'linux')

const files = (end) => readdirSync(ROOT, { recursive: true }).filter((name) => name.endsWith(end)).sort()

function run(program, parameters) {
  const path = join(BIN, program)
  chmodSync(path, 0o755) // npm drops it
  const { status, stdout, stderr, error } = spawnSync(path, parameters, { cwd: ROOT, encoding: 'utf8' })
  const said = `${error?.message ?? ''}${stdout}${stderr}`.trim()
  if (status || said) console.error(`${program}: ${said || `ended with ${status}`}`)
  return status === 0 && !said
}

const into = mkdtempSync(join(tmpdir(), 'huimin-wcc-'))
const isTaken = [
  run('wcc', ['-d', ...files('.wxml'), ...files('.wxs'), '-o', join(into, 'wxml.js')]),
  run('wcsc', ['-db', ...files('.wxss'), '-o', join(into, 'wxss.js')]),
].every(Boolean)
rmSync(into, { recursive: true })
process.exit(isTaken ? 0 : 1)
