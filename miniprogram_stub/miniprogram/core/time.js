// Times as people of China read them: UTC+8, whatever the telephone is set to.

const OFFSET_MS = 8 * 3600 * 1000

const two = (n) => String(n).padStart(2, '0')

/** Parts of an instant in China: `at` is ISO 8601 or milliseconds since 1970. */
function parts(at) {
  const ms = typeof at === 'number' ? at : Date.parse(at)
  const day = new Date(ms + OFFSET_MS)
  return { year: day.getUTCFullYear(), month: day.getUTCMonth() + 1, day: day.getUTCDate(), hour: day.getUTCHours(), minute: day.getUTCMinutes() }
}

/** 11-24 09:30 */
function short(at) {
  const { month, day, hour, minute } = parts(at)
  return `${two(month)}-${two(day)} ${two(hour)}:${two(minute)}`
}

/** 2026-11-24 */
function date(at) {
  const { year, month, day } = parts(at)
  return `${year}-${two(month)}-${two(day)}`
}

/** 09:30 */
function clock(at) {
  const { hour, minute } = parts(at)
  return `${two(hour)}:${two(minute)}`
}

/** What is left in milliseconds as `{d, h, m, s}`; null when it is over. */
function left(ms) {
  if (ms <= 0) return null
  const s = Math.floor(ms / 1000)
  return { d: Math.floor(s / 86400), h: Math.floor(s / 3600) % 24, m: Math.floor(s / 60) % 60, s: s % 60 }
}

module.exports = { short, date, clock, left }
