// Elder mode: large type, few choices. It is the account's (PATCH /v1/me) and kept here for the next start.

const store = require('./store')

const KEY = 'elder'

module.exports = { isOn: () => store.get(KEY, false), set: (isOn) => store.set(KEY, isOn) }
