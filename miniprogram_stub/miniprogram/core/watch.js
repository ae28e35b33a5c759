// Whether alerts have changed, asked once a second while a page is on the screen and somebody may see it.
//
// /v1/feeds/version is a few bytes that the server keeps ready, and a 304 while nothing changes. When it changes, a
// million telephones ask for their alerts, spread over that second as their own clocks are.

const { ask } = require('./api')

const EVERY_MS = 1000

/**
 * Call `changed()` after every change from now on. `ready` is there when "now" is known: what is loaded after it misses
 * nothing. `end()` ends it. Without a network it goes on trying.
 */
function watchAlerts(changed) {
  let etag = ''
  let isOver = false
  let isAsking = false
  let isFirst = true // an answer after one that failed may be news already

  const look = async () => {
    if (isAsking) return
    isAsking = true
    const wasFirst = isFirst
    isFirst = false
    try {
      const answer = await ask('alerts.version', { isOnce: true, headers: etag ? { 'If-None-Match': etag } : {} })
      const isNew = !wasFirst && answer.status !== 304 && answer.etag !== etag
      etag = answer.etag || etag
      if (isNew && !isOver) changed()
    } catch (problem) {
      if (problem.status === undefined) throw problem
    } finally {
      isAsking = false
    }
  }

  const ready = look()
  const timer = setInterval(look, EVERY_MS)
  return {
    ready,
    end() {
      isOver = true
      clearInterval(timer)
    },
  }
}

module.exports = { watchAlerts }
