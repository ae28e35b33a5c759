// What went wrong, in words for the person: of a problem+json (RFC 9457), or of a network that is not there.

const i18n = require('./i18n')

/**
 * `code` is the server's stable one, or `offline`. `fields` maps the names of fields to their words. `status` is 0 when
 * no answer came. `body` is the whole of the server's: `work` to do, steps that are `allowed`.
 */
class Problem extends Error {
  /** @param {{code: string, title: string, detail?: string, status?: number, fields?: Record<string, string>, requestId?: string, retryAfterS?: number, body?: any}} given */
  constructor(given) {
    super(given.title)
    this.code = given.code
    this.title = given.title
    this.detail = given.detail || ''
    this.status = given.status || 0
    this.fields = given.fields || {}
    this.requestId = given.requestId || ''
    this.retryAfterS = given.retryAfterS || 0
    this.body = given.body || {}
  }

  /** As plain data for a page: what <hm-page> shows. */
  get words() {
    return { code: this.code, title: this.title, detail: this.detail, requestId: this.requestId, isOffline: this.code === 'offline' }
  }
}

function offline() {
  const { offline: words } = i18n.common()
  return new Problem({ code: 'offline', title: words.title, detail: words.detail })
}

/** Of an answer of 400 or more; a body that is no problem (a proxy's page) gets words of our own. */
function ofAnswer(status, body, retryAfterS) {
  const { broken } = i18n.common()
  const told = body && typeof body === 'object' && body.code ? body : {}
  const fields = {}
  if (told.field) fields[told.field] = told.title
  for (const each of told.errors || []) fields[each.field] = each.detail
  return new Problem({
    code: told.code || 'unexpected',
    title: told.title || broken.title,
    detail: told.detail || broken.detail,
    status,
    fields,
    requestId: told.request_id || '',
    retryAfterS,
    body: told,
  })
}

/**
 * What was asked, or null if it cannot be had: of what a page can be without.
 *
 * @template T
 * @param {Promise<T>} asked
 * @returns {Promise<T | null>}
 */
async function optional(asked) {
  try {
    return await asked
  } catch (problem) {
    if (problem instanceof Problem && problem.status !== 401) return null
    throw problem
  }
}

module.exports = { Problem, offline, ofAnswer, optional }
