// The one place where requests are made. Pages call `ask(name, call)`; names stand in operations.js.
//
// A request that changes something carries an Idempotency-Key and is sent again under the same key when no answer came,
// so that it happens once. A GET carries the ETag of the last answer; what is `kept` is shown with its time when there is
// no network. Errors are `Problem`s in the person's language; 401 renews the tokens once, without the page knowing.

const { base, timeoutMs } = require('./config')
const i18n = require('./i18n')
const operations = require('./operations')
const problems = require('./problem')
const session = require('./session')
const store = require('./store')

const TRIES = 3
const WAIT_MS = 400 // before the second try; twice as long before the third
const PATIENCE_S = 5 // a Retry-After longer than this is told instead of waited for

const wait = (ms) => new Promise((done) => setTimeout(done, ms))

/** 128 random bits, or as near as a telephone without a generator comes. */
function newKey() {
  const part = () => Math.floor(Math.random() * 2 ** 32).toString(16).padStart(8, '0')
  return `${Date.now().toString(16)}-${part()}${part()}${part()}`
}

/** @returns {Promise<{statusCode: number, data: any, header: Record<string, string>} | null>} null: no answer came. */
const send = (request) => new Promise((done) => {
  wx.request({ ...request, timeout: timeoutMs, success: (/** @type {any} */ answer) => done(answer), fail: () => done(null) })
})

const headerOf = (answer, name) => {
  const found = Object.keys(answer.header).find((key) => key.toLowerCase() === name)
  return found ? String(answer.header[found]) : ''
}

function address(path, call) {
  const filled = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(call.path[name]))
  const query = Object.entries(call.query || {}).filter(([, value]) => value !== undefined && value !== null && value !== '')
  const words = query.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')
  return base + filled + (words ? `?${words}` : '')
}

function headersOf(method, call, key, kept) {
  const headers = { 'Accept-Language': i18n.header(), ...call.headers }
  const tokens = session.current()
  if (tokens) headers.Authorization = `Bearer ${tokens.access}`
  if (method === 'POST') headers['Idempotency-Key'] = key
  if (call.version) headers['If-Match'] = call.version
  if (kept && kept.etag) headers['If-None-Match'] = kept.etag
  return headers
}

/** Send until an answer came or all tries are over. Only what may be repeated is. */
async function persist(request, mayRepeat) {
  for (let tried = 1; ; tried += 1) {
    const answer = await send(request())
    const retryAfterS = answer ? Number(headerOf(answer, 'retry-after')) || 0 : 0
    const isBusy = answer !== null && (answer.statusCode === 503 || answer.statusCode === 429 || answer.statusCode === 502)
    if ((answer && !isBusy) || tried === TRIES || !mayRepeat || retryAfterS > PATIENCE_S) return answer
    await wait(retryAfterS * 1000 || WAIT_MS * tried)
  }
}

let renewing = null

/** New tokens for the refresh token, once for all who wait. False: one has to log in again. */
function renew() {
  renewing = renewing || (async () => {
    const tokens = session.current()
    if (!tokens) return false
    const answer = await persist(() => ({
      url: base + operations['session.refresh'].split(' ')[1],
      method: 'POST',
      data: { refresh_token: tokens.refresh },
      header: { 'Accept-Language': i18n.header() },
    }), true)
    if (answer === null) throw problems.offline()
    if (answer.statusCode === 200) session.keep(answer.data)
    else if (answer.statusCode < 500) session.expire()
    return answer.statusCode === 200
  })().finally(() => { renewing = null })
  return renewing
}

/** A refusal that came as bytes because a file was asked for; null if it is no JSON. */
function jsonOf(bytes) {
  try {
    const octets = Array.from(new Uint8Array(bytes), (byte) => `%${byte.toString(16).padStart(2, '0')}`)
    return JSON.parse(decodeURIComponent(octets.join('')))
  } catch (error) {
    return null
  }
}

function fromKept(kept) {
  return { data: kept.data, etag: kept.etag, at: kept.at, isOld: true, status: 200 }
}

/**
 * Ask the server. `call`: `path` values, `query`, `body`, `version` (an ETag for If-Match), `key` (to repeat a request of
 * an earlier page), `keep` (show the last answer when there is no network), `raw` ('arraybuffer' for a file), `isOnce` (for
 * what is asked again soon anyway).
 *
 * @param {string} name
 * @param {{path?: object, query?: object, body?: any, version?: string, key?: string, keep?: boolean, isOnce?: boolean, raw?: 'arraybuffer', headers?: object}} [call]
 * @returns {Promise<{data: any, etag: string, at: number, isOld: boolean, status: number}>} `at`: when the server said so.
 * @throws {problems.Problem}
 */
async function ask(name, call = {}) {
  const [method, path] = operations[name].split(' ')
  const url = address(path, call)
  const slot = `${i18n.language()} ${url.slice(base.length)}`
  const kept = method === 'GET' && !call.raw ? store.answers.get(slot) : null
  const key = call.key || newKey()
  const request = () => /** @type {any} */ ({
    url, method, data: call.body, header: headersOf(method, call, key, kept), responseType: call.raw || 'text',
  })
  const mayRepeat = !call.isOnce && (method !== 'POST' || session.isIn())
  let answer = await persist(request, mayRepeat)
  if (answer && answer.statusCode === 401 && session.isIn() && (await renew())) answer = await persist(request, mayRepeat)
  if (answer === null) {
    if (kept && call.keep) return fromKept(kept)
    throw problems.offline()
  }
  if (answer.statusCode === 304) {
    if (kept && call.keep) store.answers.set(slot, { ...kept, at: Date.now() })
    return { data: null, etag: headerOf(answer, 'etag'), ...kept, at: Date.now(), isOld: false, status: 304 }
  }
  if (answer.statusCode >= 400) {
    if (answer.statusCode >= 500 && kept && call.keep) return fromKept(kept)
    throw problems.ofAnswer(answer.statusCode, call.raw ? jsonOf(answer.data) : answer.data, Number(headerOf(answer, 'retry-after')) || 0)
  }
  const found = { data: answer.data, etag: headerOf(answer, 'etag'), at: Date.now() }
  if (method === 'GET' && call.keep) store.answers.set(slot, found)
  return { ...found, isOld: false, status: answer.statusCode }
}

/** Log in with WeChat; true if that is a new citizen. */
async function logIn() {
  const { code } = await wx.login()
  const { data } = await ask('session.byWeChat', { body: { code, label: wx.getDeviceInfo().model.slice(0, 40) } })
  session.keep(data)
  return data.is_new
}

module.exports = { ask, logIn, newKey }
