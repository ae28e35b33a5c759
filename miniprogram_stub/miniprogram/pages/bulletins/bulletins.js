// Public notices that hold, or the one that a notice named.

const { ask } = require('../../core/api')
const i18n = require('../../core/i18n')
const time = require('../../core/time')
const { page } = require('../../core/page')

/** A bulletin as a card. */
const cardOf = ({ id, title, body, source, changed_at: at }) => ({
  id, title: i18n.pick(title), body: i18n.pick(body), source: i18n.pick(source), at: time.short(at),
})

page({
  texts: require('./texts'),
  data: { bulletins: [] },

  async load({ id }) {
    if (id) {
      const answer = await ask('bulletins.get', { path: { bulletin: id }, keep: true })
      return { bulletins: [cardOf(answer.data.bulletin)], asOf: this.age(answer) }
    }
    const answer = await ask('bulletins.list', { keep: true })
    const bulletins = answer.data.bulletins.map(cardOf)
    return { bulletins, asOf: this.age(answer), state: bulletins.length ? 'ready' : 'empty' }
  },
})
