// Who is logged in: the access token of a quarter of an hour, and the refresh token that works once.

const store = require('./store')

const KEY = 'session'

/** @returns {{access: string, refresh: string, account: string} | null} */
const current = () => store.get(KEY, null)

const isIn = () => current() !== null

/** Keep what a log-in or a refresh gave; somebody else's things are forgotten. */
function keep(tokens) {
  const before = current()
  const account = tokens.account || (before ? before.account : '')
  if (before && before.account !== account) store.mine.clear()
  store.set(KEY, { access: tokens.access_token, refresh: tokens.refresh_token, account })
}

/** Log out here: tokens and all that is kept of the account. */
function forget() {
  store.remove(KEY)
  store.mine.clear()
}

/** The log-in is over, but it is still this person's telephone: drafts and kept answers stay. */
const expire = () => store.remove(KEY)

module.exports = { current, isIn, keep, forget, expire }
