// The inbox as it is kept on the telephone: read at once, with or without a network, and brought up to date by what
// changed since (`since` and `sync` of GET /v1/me/inbox).

const { ask } = require('./api')
const outbox = require('./outbox')
const store = require('./store')

const KEY = 'news'
const MOST = 200 // items that are kept, newest first; the server keeps the rest
const PAGE = 50
const PAGES = 20 // of one walk; a longer absence begins anew

const none = { at: 0, sync: '', items: [], alerts: [], bulletins: [], unread: { alerts: 0, items: 0, bulletins: 0 } }

const kept = () => store.mine.get(KEY, none)

/** All pages of a walk from `since`; only the first of a first one. Null if there are too many to go on from there. */
async function walk(since) {
  const { data } = await ask('inbox.page', { query: { since, limit: PAGE } })
  const found = { ...data, items: [...data.items], gone: [...data.gone] }
  for (let next = since && data.next, pages = 1; next; pages += 1) {
    if (pages === PAGES) return null
    const { data: more } = await ask('inbox.page', { query: { since, after: next, limit: PAGE } })
    found.items.push(...more.items)
    found.gone.push(...more.gone)
    next = more.next
  }
  return found
}

/** What was kept with what is new in it: what changed stands once, in its newer words. */
function merged(before, found) {
  const replaced = new Set([...found.items.map(({ id }) => id), ...found.gone])
  const items = [...found.items, ...before.items.filter(({ id }) => !replaced.has(id))]
  items.sort((a, b) => Date.parse(b.at) - Date.parse(a.at))
  return items.slice(0, MOST)
}

/** Ask what is new and keep it. @throws what `ask` throws; `kept()` is still there then. */
async function refresh() {
  const before = kept()
  const changed = await walk(before.sync)
  const found = changed || (await walk(''))
  const { alerts, bulletins, unread, sync } = found
  const news = { at: Date.now(), sync, alerts, bulletins, unread, items: merged(changed ? before : none, found) }
  store.mine.set(KEY, news)
  return news
}

const OPENED = {
  items: (item) => ['inbox.readItem', { item }],
  alerts: (identifier) => ['inbox.readAlert', { identifier }],
  bulletins: (bulletin) => ['inbox.readBulletin', { bulletin }],
}
const idOf = { items: ({ id }) => id, alerts: ({ alert }) => alert.identifier, bulletins: ({ bulletin }) => bulletin.id }

/** One of the `items`, `alerts` or `bulletins` was opened: here at once, at the server when there is a network. */
async function open(kind, id) {
  const news = kept()
  const opened = news[kind].find((each) => idOf[kind](each) === id)
  if (!opened || opened.read_at) return
  const all = news[kind].map((each) => (each === opened ? { ...each, read_at: new Date().toISOString() } : each))
  store.mine.set(KEY, { ...news, [kind]: all, unread: { ...news.unread, [kind]: Math.max(0, news.unread[kind] - 1) } })
  const [name, path] = OPENED[kind](id)
  await outbox.post(name, { path })
}

/** All that is on the list was seen. */
async function openAll() {
  const news = kept()
  if (!news.items.length) return
  const at = new Date().toISOString()
  const items = news.items.map((each) => ({ ...each, read_at: each.read_at || at }))
  store.mine.set(KEY, { ...news, items, unread: { ...news.unread, items: 0 } })
  await outbox.post('inbox.readUntil', { body: { up_to: news.items[0].id } })
}

module.exports = { kept, refresh, open, openAll }
