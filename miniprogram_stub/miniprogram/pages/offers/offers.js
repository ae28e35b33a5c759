// What the city offers me before I ask, and why.

const { ask } = require('../../core/api')
const { page } = require('../../core/page')

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { offers: [] },

  async load() {
    await ask('session.get')
    return { offers: [] }
  },
})
