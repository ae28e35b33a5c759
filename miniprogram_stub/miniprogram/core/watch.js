// Whether alerts have changed, asked once a second while a page is on the screen and somebody may see it.
//
// /v1/feeds/version is a few bytes that the server keeps ready, and a 304 while nothing changes. When it changes, a
// million telephones would ask for their alerts in the same moment: each waits a little of its own first.

const { ask } = require('./api')

const EVERY_MS = 1000
const SPREAD_MS = 400

/** Call `changed()` after every change from now on; the answer ends it. Without a network it goes on trying. */
function watchAlerts(changed) {
  let etag = ''
  let isOver = false
  let isAsking = false
  const timer = setInterval(async () => {
    if (isAsking) return
    isAsking = true
    try {
      const answer = await ask('alerts.version', { headers: etag ? { 'If-None-Match': etag } : {} })
      const isNew = answer.status !== 304 && etag !== '' && answer.etag !== etag
      etag = answer.etag || etag
      if (isNew && !isOver) setTimeout(() => isOver || changed(), Math.random() * SPREAD_MS)
    } catch (problem) {
      if (problem.status === undefined) throw problem
    } finally {
      isAsking = false
    }
  }, EVERY_MS)
  return () => {
    isOver = true
    clearInterval(timer)
  }
}

module.exports = { watchAlerts }
