// What is sent later: requests that a person made without a network wait here, each under the key it was made with.
//
// They go out in their order when the network is back or the app is opened. What the server refuses for good is dropped
// and told to who listens; what got no answer stays.

const { ask, newKey } = require('./api')
const session = require('./session')
const store = require('./store')

const KEY = 'outbox'
const MAX = 50
const listeners = new Set()
let flushing = null

const waiting = () => store.mine.get(KEY, [])

/**
 * Try now; if there is no network, keep it. Yields the answer, or null when it is kept for later: also behind others that
 * wait, for what a person did first is sent first.
 */
async function post(name, call) {
  const entry = { name, call, key: call.key || newKey(), at: Date.now() }
  if (waiting().length) {
    store.mine.set(KEY, [...waiting().filter(({ key }) => key !== entry.key), entry])
    tell({ entry, is: 'waiting' })
    return outcomeOf(entry)
  }
  try {
    return await ask(name, { ...call, key: entry.key })
  } catch (problem) {
    if (problem.code !== 'offline') throw problem
    if (waiting().length >= MAX) throw problem
    store.mine.set(KEY, [...waiting(), entry])
    tell({ entry, is: 'waiting' })
    return null
  }
}

/** Of one that has others before it. */
async function outcomeOf(entry) {
  let found = null
  const deaf = listen((news) => {
    if (news.entry.key === entry.key) found = news
  })
  await flush()
  deaf()
  if (found && found.is === 'refused') throw found.problem
  return found && found.answer
}

const tell = (news) => listeners.forEach((listener) => listener(news))

/** Send all that waits; ends at the first that gets no answer. */
function flush() {
  flushing = flushing || (async () => {
    while (session.isIn() && waiting().length) {
      const [entry] = waiting()
      const done = () => store.mine.set(KEY, waiting().filter(({ key }) => key !== entry.key)) // more may have come meanwhile
      try {
        const answer = await ask(entry.name, { ...entry.call, key: entry.key })
        done()
        tell({ entry, is: 'sent', answer })
      } catch (problem) {
        if (problem.code === 'offline' || problem.status === 401 || problem.status >= 500) return
        done()
        tell({ entry, is: 'refused', problem })
      }
    }
  })().finally(() => { flushing = null })
  return flushing
}

/** Hear of what happens to them; the answer stops it. */
function listen(listener) {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

module.exports = { post, flush, listen, waiting }
