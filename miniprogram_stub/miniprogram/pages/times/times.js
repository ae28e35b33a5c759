// The free times of one resource: the strip of its days, how many seats are left, and one tap to hold one of them.
//
// query: `resource`, `service` (a code of it); `move`: a booking that is to go to another of these times. What is shown
// is counted anew every few seconds while the page is on the screen: most answers are 304.

const { ask } = require('../../core/api')
const bookings = require('../../core/booking/words')
const i18n = require('../../core/i18n')
const { page } = require('../../core/page')
const session = require('../../core/session')
const time = require('../../core/time')

const MOST_DAYS = 31
const MOST_PARTS = 8 // of a hundred times each

/** All times of the resource within its window. */
async function offersOf(resource) {
  const days = Math.min(resource.rules.window_days + 1, MOST_DAYS)
  const slots = []
  let answer = null
  let after = ''
  for (let part = 0; part < MOST_PARTS; part += 1) {
    answer = await ask('slots.list', { query: { resource: resource.id, days, after, limit: 100 }, keep: true })
    slots.push(...answer.data.slots)
    after = answer.data.next
    if (!after) break
  }
  return { answer, slots, days }
}

/** Relatives for whom one may book, after oneself. */
async function people(me) {
  if (!session.isIn()) return [{ account: '', name: me }]
  const { data } = await ask('relatives.list', { keep: true })
  const others = data.relations.filter((each) => each.acts === 'for_another' && each.state === 'active' && each.scopes.includes('book'))
  return [{ account: '', name: me }].concat(others.map(({ account, name }) => ({ account, name })))
}

page({
  texts: require('./texts'),
  everyS: 3,
  data: {
    resource: null, place: '', about: '', services: [], service: 0, people: [], who: 0, hasElder: false, isElderSeat: false, days: [], day: '',
    times: [], canWait: false, rules: [], isMove: false,
  },

  async load({ resource, service, move }) {
    const [found, who] = await Promise.all([ask('resources.get', { path: { resource }, keep: true }), people(this.data.t.me)])
    this.resource = found.data
    this.offers = await offersOf(this.resource)
    const services = this.resource.services.map(bookings.serviceOf)
    const chosen = this.data.services.length ? this.data.service : services.findIndex((each) => each.code === service)
    return {
      resource: this.resource.id,
      place: bookings.place(this.resource),
      about: [bookings.named(this.resource.group_name), bookings.named(this.resource.note), bookings.named(this.resource.address)].filter(Boolean).join(' · '),
      services,
      service: Math.max(0, chosen),
      people: who,
      rules: bookings.rulesOf(this.resource.rules),
      isMove: Boolean(move),
      hasElder: this.offers.slots.some(({ free }) => free.elder > 0),
      asOf: this.age(this.offers.answer),
      ...this.shown(this.data.day),
    }
  },

  tick() {
    if (!this.data.busy && this.data.state === 'ready') this.reload()
  },

  /** The strip, and the times of one day of it: the first with a free seat, until the person chooses. */
  shown(wanted) {
    const { t, isElderSeat } = this.data
    const { slots, days, answer } = this.offers
    const quota = isElderSeat ? 'elder' : 'online'
    const today = time.date(answer.data.as_of)
    const byDay = {}
    slots.forEach((slot) => { (byDay[time.date(slot.begins_at)] = byDay[time.date(slot.begins_at)] || []).push(slot) })
    const free = (date) => (byDay[date] || []).reduce((sum, slot) => sum + (slot.free[quota] || 0), 0)
    const strip = Array.from({ length: days }, (_, n) => bookings.later(today, n))
    const day = wanted || strip.find((date) => free(date)) || today
    const note = (date) => (free(date) ? i18n.fill(t.freeDay, { n: free(date) }) : byDay[date] ? t.fullDay : t.closedDay)
    const times = (byDay[day] || []).map((slot) => this.timeOf(slot, slot.free[quota] || 0))
    return {
      day,
      days: strip.map((date) => ({ date, name: bookings.day(date), note: note(date), isChosen: date === day })),
      times,
      canWait: times.length > 0 && times.every((each) => each.isFull), // else what is free would be offered at once
    }
  },

  timeOf(slot, free) {
    const { t } = this.data
    const isClosed = slot.opens_at !== null
    const note = isClosed ? i18n.fill(t.opens, { time: time.short(slot.opens_at) }) : free ? i18n.fill(t.left, { n: free }) : t.full
    return { id: slot.id, name: time.clock(slot.begins_at), note, isOff: isClosed || !free, isFull: !isClosed && !free, begins: slot.begins_at, ends: slot.ends_at }
  },

  chooseDay({ currentTarget }) {
    this.setData({ problem: null, ...this.shown(currentTarget.dataset.date) })
  },

  chooseService({ detail }) {
    this.setData({ service: Number(detail.value) })
  },

  chooseWho({ detail }) {
    this.setData({ who: Number(detail.value) })
  },

  chooseQuota({ detail }) {
    this.setData({ isElderSeat: detail.value })
    this.setData(this.shown(this.data.day))
  },

  /** Log in first, and come back to this page. */
  isOut() {
    if (session.isIn()) return false
    const { resource, service } = this.options
    const back = `/pages/times/times?resource=${resource}${service ? `&service=${service}` : ''}`
    wx.navigateTo({ url: `/pages/log-in/log-in?back=${encodeURIComponent(back)}` })
    return true
  },

  wish() {
    const { services, service, people: known, who, isElderSeat } = this.data
    const { account } = known[who] || known[0]
    return { quota: isElderSeat ? 'elder' : 'online', service: services[service].code, ...(account ? { for: account } : {}) }
  },

  /** Hold it, or move the booking there. A seat that somebody else was quicker to take is told in words. */
  take({ currentTarget }) {
    if (this.isOut()) return undefined
    const slot = this.data.times[currentTarget.dataset.index]
    return this.act('take', async () => {
      try {
        await (this.data.isMove ? this.move(slot) : this.hold(slot))
      } catch (problem) {
        await this.reload()
        throw problem
      }
    })
  },

  /** A service that is longer than one of these times takes those that follow too: the server knows that as a visit. */
  async hold(slot) {
    const { service, ...others } = this.wish()
    const { minutes } = this.resource.services.find(({ code }) => code === service)
    let id = ''
    if (minutes * 60000 > Date.parse(slot.ends) - Date.parse(slot.begins)) {
      const { data } = await ask('visits.hold', { body: { steps: [{ slot: slot.id, service }], ...others } })
      id = data.parts[0].id
    } else {
      id = (await ask('bookings.hold', { body: { slot: slot.id, service, ...others } })).data.id
    }
    wx.navigateTo({ url: `/pages/booking/booking?id=${id}` })
  },

  async move(slot) {
    const { t } = this.data
    const path = { booking: this.options.move }
    const { data: booking } = await ask('bookings.get', { path })
    const left = i18n.fill(t.movesLeft, { n: Math.max(0, booking.moves_left - 1) })
    const { confirm } = await wx.showModal({ title: t.moveTo, content: `${bookings.when(slot.begins, slot.ends)}\n${left}`, confirmText: t.common.ok, cancelText: t.common.cancel })
    if (!confirm) return
    await ask('bookings.move', { path, body: { slot: slot.id, quota: this.wish().quota } })
    wx.showToast({ title: t.moved })
    wx.navigateBack()
  },

  wait() {
    if (this.isOut()) return undefined
    return this.act('wait', async () => {
      const { quota, ...others } = this.wish()
      const { day } = this.data
      const body = { group: this.resource.group, resource: this.resource.id, quota, first_day: day, last_day: day, ...(others.for ? { for: others.for } : {}) }
      const { data } = await ask('waiting.begin', { body })
      wx.navigateTo({ url: `/pages/waiting/waiting?entry=${data.id}` })
    })
  },
})
