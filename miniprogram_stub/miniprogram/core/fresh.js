// What the server does only within a quarter of an hour of a log-in: binding a telephone, taking data away, leaving.
//
// Whoever logged in earlier does so again, as WeChat knows them, and the work is done a second time. The log-in that is
// replaced is ended. Should WeChat name another account, nothing is done: the work was meant for the first one.

const { ask, logIn } = require('./api')
const session = require('./session')

/**
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
async function fresh(work) {
  try {
    return await work()
  } catch (problem) {
    if (problem.code !== 'log_in_stale') throw problem
    const { data } = await ask('session.get')
    await logIn()
    if (session.current().account !== data.account) throw problem
    await ask('session.endOne', { path: { log_in: data.log_in.id } })
    return work()
  }
}

module.exports = { fresh }
