// The own applications as this telephone knows them: the first look loads all, each later one only what has changed.

const { ask } = require('./api')
const session = require('./session')
const store = require('./store')
const time = require('./time')

const KEY = 'applications'
const PAGE = 100
const NOTHING = { sync: '', at: 0, byId: {} }

/** Newest change first. */
const sorted = (byId) => Object.values(byId).sort((a, b) => (a.changed_at < b.changed_at ? 1 : -1))

/**
 * All of them. Without a network what was known, with `isOld` and when that was.
 *
 * @returns {Promise<{applications: any[], at: number, isOld: boolean}>}
 */
async function all() {
  const known = store.mine.get(KEY, NOTHING)
  const byId = { ...known.byId }
  try {
    let after = ''
    let sync = ''
    do {
      const { data } = await ask('applications.list', { query: { since: known.sync, after, limit: PAGE } })
      data.applications.forEach((each) => { byId[each.id] = each })
      after = data.next
      sync = data.sync
    } while (after)
    store.mine.set(KEY, { sync, at: Date.now(), byId })
    return { applications: sorted(byId), at: Date.now(), isOld: false }
  } catch (problem) {
    if (problem.code !== 'offline' || !known.at) throw problem
    return { applications: sorted(byId), at: known.at, isOld: true }
  }
}

/** Unfinished ones of an item, as lines; none for whoever is not logged in. */
async function draftsOf(item) {
  if (!session.isIn()) return []
  const { applications } = await all()
  return applications
    .filter((each) => each.item === item && each.state === 'draft')
    .slice(0, 5)
    .map(({ id, changed_at: at }) => ({ id, at: time.short(at) }))
}

/** A draft that is deleted, here or elsewhere, is in no answer any more. */
function forget(id) {
  const known = store.mine.get(KEY, NOTHING)
  const { [id]: gone, ...byId } = known.byId
  if (gone) store.mine.set(KEY, { ...known, byId })
}

module.exports = { all, draftsOf, forget }
