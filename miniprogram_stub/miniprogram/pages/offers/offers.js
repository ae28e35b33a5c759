// What the city offers me before I ask.

const { ask } = require('../../core/api')
const i18n = require('../../core/i18n')
const offers = require('../../core/offers')
const { page } = require('../../core/page')

const MOST = 30

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { open: [], past: [] },

  async load() {
    const answer = await ask('offers.list', { query: { limit: MOST }, keep: true })
    const lines = answer.data.offers.map((each) => offers.lineOf(each, i18n.common().offerStates))
    return {
      open: lines.filter(({ isOpen }) => isOpen),
      past: lines.filter(({ isOpen }) => !isOpen),
      asOf: this.age(answer),
      state: lines.length ? 'ready' : 'empty',
    }
  },
})
