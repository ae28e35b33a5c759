// My bookings, and those I made for others.

const { ask } = require('../../core/api')
const i18n = require('../../core/i18n')
const time = require('../../core/time')
const { page } = require('../../core/page')

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { bookings: [] },

  async load() {
    const answer = await ask('bookings.list', { keep: true })
    const bookings = answer.data.bookings.map((each) => ({
      id: each.id, title: each.resource_name ? i18n.pick(each.resource_name) : each.service, note: time.short(each.begins_at), state: each.state,
    }))
    return { bookings, asOf: this.age(answer), state: bookings.length ? 'ready' : 'empty' }
  },
})
