// QR codes (ISO/IEC 18004) of a short ASCII text, as a picture that <image> shows: what is scanned at a counter.
//
// Byte mode, error correction M, versions 1 to 6 (up to 106 characters: a ticket has at most 100), and always mask 0, so
// that the format bits are one constant. A test compares each module with another encoder's.

const FORMAT = 0x5412 // M and mask 0, with its BCH code and the standard's own mask
const QUIET = 4 // modules of white around it
// By version: bytes of data in a block, bytes of correction for it, blocks. All blocks of these versions are alike.
/** @type {[number, number, number][]} */
const SHAPES = [[16, 10, 1], [28, 16, 1], [44, 26, 1], [32, 18, 2], [43, 24, 2], [27, 16, 4]]

const EXP = []
const LOG = []
for (let n = 0, x = 1; n < 255; n += 1) {
  EXP[n] = x
  LOG[x] = n
  x = x < 128 ? x * 2 : (x * 2) ^ 0x11d
}
const times = (a, b) => (a && b ? EXP[(LOG[a] + LOG[b]) % 255] : 0)

/** The bytes of Reed-Solomon that correct these. */
function correction(data, count) {
  let generator = [1]
  for (let n = 0; n < count; n += 1) {
    const next = generator.concat(0)
    generator.forEach((each, at) => { next[at + 1] ^= times(each, EXP[n]) })
    generator = next
  }
  const rest = data.concat(new Array(count).fill(0))
  for (let at = 0; at < data.length; at += 1) {
    const factor = rest[at]
    generator.forEach((each, n) => { rest[at + n] ^= times(each, factor) })
  }
  return rest.slice(data.length)
}

/** Mode, length, text and filling, as whole bytes. */
function dataOf(text, bytes) {
  const bits = [0, 1, 0, 0]
  const push = (value) => { for (let n = 7; n >= 0; n -= 1) bits.push((value >> n) & 1) }
  push(text.length)
  for (let n = 0; n < text.length; n += 1) push(text.charCodeAt(n))
  while (bits.length % 8) bits.push(0)
  const data = []
  for (let n = 0; n < bits.length; n += 8) data.push(parseInt(bits.slice(n, n + 8).join(''), 2))
  for (let n = 0; data.length < bytes; n += 1) data.push(n % 2 ? 0x11 : 0xec)
  return data
}

/** All bytes in the order in which they are drawn: the blocks' first ones, their second ones, ... */
function codewords(text, [bytes, count, blocks]) {
  const data = dataOf(text, bytes * blocks)
  const parts = Array.from({ length: blocks }, (_, n) => data.slice(n * bytes, (n + 1) * bytes))
  const woven = (lists) => lists[0].reduce((all, _, at) => all.concat(lists.map((list) => list[at])), [])
  return woven(parts).concat(woven(parts.map((part) => correction(part, count))))
}

/** What every code of this size has: corners, timing, alignment, format. Other modules are undefined. */
function frame(size) {
  const rows = Array.from({ length: size }, () => new Array(size).fill(undefined))
  const set = (x, y, value) => { if (rows[y] && x >= 0 && x < size) rows[y][x] = value ? 1 : 0 }
  const square = (cx, cy, radius, isDark) => {
    for (let y = -radius; y <= radius; y += 1) {
      for (let x = -radius; x <= radius; x += 1) set(cx + x, cy + y, isDark(Math.max(Math.abs(x), Math.abs(y))))
    }
  }
  for (let n = 0; n < size; n += 1) {
    set(6, n, n % 2 === 0)
    set(n, 6, n % 2 === 0)
  }
  const corners = [[3, 3], [size - 4, 3], [3, size - 4]]
  corners.forEach(([x, y]) => square(x, y, 4, (far) => far !== 2 && far !== 4))
  if (size > 21) square(size - 7, size - 7, 2, (far) => far !== 1)
  for (let n = 0; n < 15; n += 1) {
    const bit = (FORMAT >> n) & 1
    if (n < 8) set(8, n < 6 ? n : n + 1, bit)
    else set(n === 8 ? 7 : 14 - n, 8, bit)
    if (n < 8) set(size - 1 - n, 8, bit)
    else set(8, size - 15 + n, bit)
  }
  set(8, size - 8, 1)
  return rows
}

/** Rows of 0 and 1. RangeError for a text that is too long. */
function matrix(text) {
  const version = SHAPES.findIndex(([bytes, , blocks]) => bytes * blocks - 2 >= text.length)
  if (version < 0) throw new RangeError('a text of more than 106 characters')
  const bytes = codewords(text, SHAPES[version])
  const size = 21 + 4 * version
  const rows = frame(size)
  let at = 0
  for (let right = size - 1; right > 0; right -= 2) {
    if (right === 6) right = 5
    for (let step = 0; step < size; step += 1) {
      const y = ((right + 1) & 2) === 0 ? size - 1 - step : step
      for (let x = right; x > right - 2; x -= 1) {
        if (rows[y][x] === undefined) {
          const bit = at < bytes.length * 8 ? (bytes[at >> 3] >> (7 - (at & 7))) & 1 : 0
          rows[y][x] = bit ^ ((x + y) % 2 === 0 ? 1 : 0)
          at += 1
        }
      }
    }
  }
  return rows
}

/** A picture for <image src>: black on white, with its quiet zone. */
function picture(text) {
  const rows = matrix(text)
  const side = rows.length + 2 * QUIET
  const dark = rows.map((row, y) => row.map((is, x) => (is ? `M${x + QUIET} ${y + QUIET}h1v1h-1z` : '')).join('')).join('')
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${side * 8}" height="${side * 8}" viewBox="0 0 ${side} ${side}" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h${side}v${side}H0z"/><path d="${dark}"/></svg>`
  const bytes = Uint8Array.from(svg, (letter) => letter.charCodeAt(0))
  return `data:image/svg+xml;base64,${wx.arrayBufferToBase64(bytes.buffer)}`
}

module.exports = { matrix, picture }
