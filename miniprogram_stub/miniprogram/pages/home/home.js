// What is in force for my places, what I may need, and what comes next for me.

const { ask } = require('../../core/api')
const { inForce } = require('../../core/alerts')
const i18n = require('../../core/i18n')
const { isOpen } = require('../../core/offers')
const { page } = require('../../core/page')
const session = require('../../core/session')
const time = require('../../core/time')

const NEXT = 3
const WAITING = ['supplement', 'draft'] // states of an application in which it is the citizen's turn, first things first

/** A booking as a line of the page. */
const lineOf = (booking) => ({
  id: booking.id,
  title: booking.resource_name ? i18n.pick(booking.resource_name) : booking.service,
  note: time.short(booking.begins_at),
})

/** Applications that wait for me: those to be completed before those that were only begun. */
const waitingOf = (applications) => applications
  .filter(({ state }) => WAITING.includes(state))
  .sort((a, b) => WAITING.indexOf(a.state) - WAITING.indexOf(b.state))
  .slice(0, NEXT)
  .map(({ id, name, state_words: note }) => ({ id, title: name, note }))

page({
  texts: require('./texts'),
  watchesAlerts: true,
  data: { alerts: [], bookings: [], applications: [], offers: [], isIn: false },

  async load() {
    if (!session.isIn()) {
      const alerts = await inForce()
      return { isIn: false, alerts: alerts.lines, asOf: this.age(alerts), bookings: [], applications: [], offers: [] }
    }
    const [alerts, bookings, applications, offers] = await Promise.all([
      inForce(),
      ask('bookings.list', { query: { limit: NEXT }, keep: true }),
      ask('applications.list', { query: { limit: 20 }, keep: true }),
      ask('offers.list', { query: { limit: 20 }, keep: true }),
    ])
    return {
      isIn: true,
      alerts: alerts.lines,
      bookings: bookings.data.bookings.map(lineOf),
      applications: waitingOf(applications.data.applications),
      offers: offers.data.offers.filter(isOpen).slice(0, NEXT).map(({ id, title, body }) => ({ id, title, body })),
      asOf: [alerts, bookings, applications, offers].map((each) => this.age(each)).find(Boolean) || '',
    }
  },

  logIn() {
    wx.navigateTo({ url: '/pages/log-in/log-in' })
  },

  allServices() {
    wx.switchTab({ url: '/pages/services/services' })
  },
})
