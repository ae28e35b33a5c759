// What is in force for my places, what I may need, and what comes next for me.

const { ask } = require('../../core/api')
const { inForce } = require('../../core/alerts')
const i18n = require('../../core/i18n')
const { page } = require('../../core/page')
const session = require('../../core/session')
const time = require('../../core/time')
const { watchAlerts } = require('../../core/watch')

/** A booking as a line of the page. */
const lineOf = (booking) => ({
  id: booking.id,
  title: booking.resource_name ? i18n.pick(booking.resource_name) : booking.service,
  note: time.short(booking.begins_at),
})

page({
  texts: require('./texts'),
  data: { alerts: [], bookings: [], isIn: false },

  onShow() {
    this.watch = watchAlerts(() => this.reload())
  },
  onHide() {
    this.watch.end()
  },
  onUnload() {
    this.watch.end()
  },

  async load() {
    await this.watch.ready
    const isIn = session.isIn()
    const [alerts, bookings] = await Promise.all([
      inForce(),
      isIn ? ask('bookings.list', { query: { limit: 3 }, keep: true }) : { data: { bookings: [] } },
    ])
    return { isIn, alerts: alerts.lines, asOf: this.age(alerts), bookings: bookings.data.bookings.map(lineOf) }
  },

  logIn() {
    wx.navigateTo({ url: '/pages/log-in/log-in' })
  },
})
