// One offer: what, why me, what to do.

const { ask } = require('../../core/api')
const { page } = require('../../core/page')

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { offer: null },

  async load() {
    await ask('session.get')
    return { offer: null }
  },
})
