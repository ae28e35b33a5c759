// One booking: hold, confirm, move, cancel, check in.

const { ask } = require('../../core/api')
const i18n = require('../../core/i18n')
const time = require('../../core/time')
const { page } = require('../../core/page')

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { booking: null },

  async load({ id }) {
    const { data: each } = await ask('bookings.get', { path: { booking: id }, keep: true })
    const title = each.resource_name ? i18n.pick(each.resource_name) : each.service
    return { booking: { title, note: time.short(each.begins_at), until: each.hold_until || '', serverAt: each.server_at } }
  },
})
