// One booking, from the seat that is held to the counter: confirm, move, cancel, and the QR code that checks in.
//
// query: `id`. Countdowns go by the server's clock. While one may check in, or waits to be called, the page asks every
// few seconds how things stand, so that what the counter scans is seen here.

const { ask } = require('../../core/api')
const bookings = require('../../core/booking/words')
const i18n = require('../../core/i18n')
const { page } = require('../../core/page')
const qr = require('../../core/qr')

const AT_DOOR = ['checked_in', 'called']
const ALARM_S = 3600
const OF_VISITS = { 'bookings.confirm': 'visits.confirm', 'bookings.cancel': 'visits.cancel' }

page({
  texts: require('./texts'),
  needsLogIn: true,
  everyS: 2,
  data: { booking: null, isLapsed: false, code: '', isCodeOld: false, rules: [], service: null },

  async load({ id }) {
    let answer = null
    try {
      answer = await ask('bookings.get', { path: { booking: id }, keep: true })
    } catch (problem) {
      if (problem.code !== 'booking_unknown' || !this.seen) throw problem
      return { booking: null, isLapsed: true, code: '' }
    }
    this.seen = answer.data
    this.resource = await this.resourceOf(answer.data.resource)
    if (answer.data.state !== 'booked') this.ticket = null
    else await this.renewTicket()
    return { ...this.shown(answer.data), asOf: this.age(answer), isLapsed: false }
  },

  /** Rules, papers and where; null if the unit has taken it away meanwhile. */
  async resourceOf(id) {
    if (this.resource) return this.resource
    try {
      return (await ask('resources.get', { path: { resource: id }, keep: true })).data
    } catch (problem) {
      if (problem.status !== 404) throw problem
      return null
    }
  },

  shown(booking) {
    const { t } = this.data
    const { resource } = this
    const cancelUntil = bookings.moment(booking.can_cancel_until)
    const isLate = Date.parse(booking.server_at) >= Date.parse(booking.can_cancel_until)
    const opensAt = resource ? new Date(Date.parse(booking.begins_at) - resource.rules.check_in_opens_minutes * 60000).toISOString() : booking.begins_at
    this.isAtDoor = AT_DOOR.includes(booking.state) || (booking.state === 'booked' && Date.parse(booking.server_at) >= Date.parse(opensAt))
    const service = resource && (resource.services.find(({ code }) => code === booking.service) || (resource.services.length === 1 ? resource.services[0] : null))
    return {
      booking: {
        ...bookings.lineOf(booking),
        state: booking.state,
        isOwn: booking.is_own,
        address: [bookings.named(booking.group_name), bookings.named(booking.address)].filter(Boolean).join(' · '),
        until: booking.hold_until || '',
        serverAt: booking.server_at,
        number: i18n.fill(t.number, { n: booking.number }),
        canRenew: booking.renewals_left > 0,
        canChange: booking.state === 'booked' && !isLate,
        canMove: booking.moves_left > 0,
        moves: i18n.fill(t.movesLeft, { n: booking.moves_left }),
        change: i18n.fill(isLate ? t.cut : t.until, { moment: cancelUntil }),
        opens: this.isAtDoor ? '' : i18n.fill(t.ticketFrom, { moment: bookings.moment(opensAt) }),
        canScan: this.isAtDoor && booking.state === 'booked',
        reason: booking.reason ? i18n.fill(t.reason, { reason: booking.reason }) : '',
      },
      code: this.ticket ? this.ticket.picture : '',
      isCodeOld: booking.state === 'booked' && !this.ticket,
      rules: resource ? bookings.rulesOf(resource.rules) : [],
      service: service ? bookings.serviceOf(service) : null,
    }
  },

  /** A new code when the old one's time comes; without a network the old one stays as long as it is good. */
  async renewTicket() {
    const now = Date.now()
    if (this.ticket && now < this.ticket.renewAt) return
    try {
      const { data } = await ask('bookings.ticket', { path: { booking: this.options.id }, isOnce: true })
      const aheadMs = Date.parse(data.server_at) - now
      this.ticket = { picture: qr.picture(data.ticket), renewAt: Date.parse(data.renew_at) - aheadMs, until: Date.parse(data.until) - aheadMs }
    } catch (problem) {
      if (problem.status === 401) throw problem
      if (this.ticket && now >= this.ticket.until) this.ticket = null
    }
  },

  async tick() {
    const { booking, busy } = this.data
    if (!booking || busy) return
    if (this.isAtDoor) {
      this.reload()
    } else if (booking.state === 'booked') {
      await this.renewTicket()
      this.setData({ code: this.ticket ? this.ticket.picture : '', isCodeOld: !this.ticket })
    }
  },

  /** One step; of a visit of several seats, which stand and fall together, it is the visit's. */
  async tell(of) {
    const { id } = this.options
    try {
      await ask(of, { path: { booking: id } })
    } catch (problem) {
      if (problem.code !== 'part_of_visit' || !(of in OF_VISITS)) throw problem
      const { data } = await ask('visits.list')
      const whole = data.visits.find(({ parts }) => parts.some((part) => part.id === id))
      if (!whole) throw problem
      await ask(OF_VISITS[of], { path: { visit: whole.id } })
    }
  },

  step(name, of) {
    return this.act(name, async () => {
      try {
        await this.tell(of)
      } finally {
        await this.reload()
      }
    })
  },

  confirm() {
    return this.step('confirm', 'bookings.confirm')
  },

  renew() {
    return this.step('renew', 'bookings.renew')
  },

  giveUp() {
    return this.act('giveUp', async () => {
      await this.tell('bookings.cancel')
      this.again()
    })
  },

  /** What it costs is told before, in the words of the unit's own rules. */
  async cancel() {
    const { t } = this.data
    const costs = this.resource ? bookings.penaltiesOf(this.resource.rules, 'cancelled') : []
    const content = costs.length ? [t.cancelCost].concat(costs).join('\n') : t.cancelFree
    const { confirm } = await wx.showModal({ title: t.cancelTitle, content, confirmText: t.cancelYes, cancelText: t.keep })
    return confirm ? this.step('cancel', 'bookings.cancel') : undefined
  },

  move() {
    wx.navigateTo({ url: `/pages/times/times?resource=${this.seen.resource}&move=${this.options.id}` })
  },

  again() {
    const { resource, service } = this.seen
    wx.redirectTo({ url: `/pages/times/times?resource=${resource}${service ? `&service=${service}` : ''}` })
  },

  /** By the code that hangs at the counter. */
  scan() {
    return this.act('scan', async () => {
      let found = null
      try {
        found = await wx.scanCode({ onlyFromCamera: true, scanType: ['qrCode'] })
      } catch (closed) {
        return
      }
      try {
        await ask('bookings.checkIn', { path: { booking: this.options.id }, body: { ticket: found.result } })
      } finally {
        await this.reload()
      }
    })
  },

  addToCalendar() {
    const { t, booking } = this.data
    const { begins_at: begins, ends_at: ends } = this.seen
    wx.addPhoneCalendar({
      title: booking.title,
      startTime: Date.parse(begins) / 1000,
      endTime: String(Date.parse(ends) / 1000),
      location: booking.address,
      alarm: true,
      alarmOffset: ALARM_S,
      success: () => wx.showToast({ title: t.calendarDone }),
      fail() {},
    })
  },
})
