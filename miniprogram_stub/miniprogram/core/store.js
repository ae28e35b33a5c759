// What stays on the telephone: settings of the device, and things of whoever is logged in, each with the time it is of.
//
// What belongs to an account goes when it logs out. A full storage loses the oldest kept answers, never a draft.

const KEPT = 'kept/'
const MINE = 'mine/'

function get(key, otherwise) {
  const found = wx.getStorageSync(key)
  return found === '' ? otherwise : found
}

function set(key, value) {
  try {
    wx.setStorageSync(key, value)
  } catch (error) {
    makeRoom()
    wx.setStorageSync(key, value)
  }
}

const remove = (key) => wx.removeStorageSync(key)

const keysOf = (prefix) => wx.getStorageInfoSync().keys.filter((key) => key.startsWith(prefix))

/** Forget the older half of the kept answers. */
function makeRoom() {
  const kept = keysOf(MINE + KEPT).map((key) => ({ key, at: get(key, { at: 0 }).at }))
  kept.sort((a, b) => a.at - b.at)
  kept.slice(0, Math.ceil(kept.length / 2)).forEach(({ key }) => remove(key))
}

/** What of the account: a draft, a setting. */
const mine = {
  get: (key, otherwise) => get(MINE + key, otherwise),
  set: (key, value) => set(MINE + key, value),
  remove: (key) => remove(MINE + key),
  clear: () => keysOf(MINE).forEach(remove),
}

/** Answers of the server: `{at, etag, data}`, `at` in milliseconds since 1970. */
const answers = {
  get: (key) => mine.get(KEPT + key, null),
  set: (key, answer) => mine.set(KEPT + key, answer),
}

module.exports = { get, set, remove, mine, answers }
