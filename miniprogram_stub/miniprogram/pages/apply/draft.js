// A draft: on this telephone after every key, on the server a moment later, and the same on every device of its owner.
//
// A record is {id, item, account, key, version, base, form, filled}: `form` is what stands on the screen, `base` what the
// server had in `version`, `key` the one under which it is begun there, `filled` what sources gave. `id` is '' until
// then. What two devices wrote over one another is put together field by field; see `merged`.

const { ask, newKey } = require('../../core/api')
const applications = require('../../core/applications')
const { isSame, merged } = require('../../core/forms')
const store = require('../../core/store')

const EDITABLE = ['draft', 'supplement']
const placeOf = ({ item, account }) => `begun/${item}/${account || ''}`
const keyOf = (record) => (record.id ? `draft/${record.id}` : placeOf(record))
const etag = (version) => `"v${version}"`

function keep(record) {
  store.mine.set(keyOf(record), record)
  if (record.id && record.item) store.mine.set(placeOf(record), { id: record.id })
}

function forget(record) {
  store.mine.remove(keyOf(record))
  store.mine.remove(placeOf(record))
}

const fresh = ({ item, account }) => ({ id: '', item, account: account || '', key: newKey(), version: 0, base: {}, form: {}, filled: {} })

/** What the server says now is put under what stands here. Yields the fields that both changed, and differently. */
function adopt(record, view) {
  const { form, both } = merged(record.base, record.form, view.form)
  Object.assign(record, { id: view.id, item: view.item, version: view.version, base: view.form, form })
  keep(record)
  return both
}

/**
 * Open it: `{record, view, isOld}`; `view` is null for one that is not on the server yet. `isClosed`: it was handed in.
 *
 * @param {Record<string, any>} options
 */
async function open({ id, item, account }) {
  const known = id ? store.mine.get(`draft/${id}`, null) : store.mine.get(placeOf({ item, account }), null)
  const name = id || (known && known.id)
  if (!name) return { record: known || fresh({ item, account }), view: null, isOld: false }
  const record = store.mine.get(`draft/${name}`, null) || { ...fresh({ item: item || '', account }), id: name }
  let answer
  try {
    answer = await ask('applications.get', { path: { application: name }, keep: true })
  } catch (problem) {
    if (problem.code === 'offline' && record.item) return { record, view: null, isOld: true }
    if (problem.status !== 404) throw problem
    applications.forget(name)
    forget(record)
    if (id) throw problem
    return { record: fresh({ item, account }), view: null, isOld: false }
  }
  if (!EDITABLE.includes(answer.data.state) && !answer.isOld) {
    forget(record)
    if (id) return { record, view: answer.data, isOld: false, isClosed: true }
    return { record: fresh({ item, account }), view: null, isOld: false }
  }
  const isNews = answer.data.version > record.version
  const both = isNews ? adopt(record, answer.data) : []
  return { record, view: answer.data, isOld: answer.isOld, both }
}

/** Begin it on the server, if it is not: the same request under the same key however often it is tried. */
async function begin(record) {
  if (record.id) return null
  const body = record.account ? { item: record.item, account: record.account } : { item: record.item }
  keep(record)
  const { data } = await ask('applications.draft', { body, key: record.key })
  store.mine.remove(placeOf(record))
  Object.assign(record, { id: data.id, version: data.version, base: data.form })
  keep(record)
  return data
}

/** Write `form` over what the server has. Yields its view, or null if nothing is new. 412 if the server has a newer one. */
async function save(record, form) {
  const begun = await begin(record)
  if (isSame(form, record.base)) return begun
  const { data } = await ask('applications.save', { path: { application: record.id }, body: { form }, version: etag(record.version) })
  Object.assign(record, { version: data.version, base: data.form })
  keep(record)
  return data
}

module.exports = { open, keep, forget, adopt, save, etag }
