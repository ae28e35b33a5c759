// Bookings in words: when, where, what it costs, and the rules that hold. Times are those of China.

const i18n = require('../i18n')
const time = require('../time')
const texts = require('./texts')

const HOUR_MINUTES = 60
const DAY_MS = 86400000

const t = () => texts[i18n.language()]

/** `{month, day, weekday}` of an instant, or of a date of China's as 2026-11-25. */
function dayParts(at) {
  const [year, month, day] = (/^\d{4}-\d\d-\d\d$/.test(at) ? at : time.date(at)).split('-').map(Number)
  return { month, day, weekday: t().days[new Date(Date.UTC(year, month - 1, day)).getUTCDay()] }
}

const day = (at) => i18n.fill(t().day, dayParts(at))
const when = (begins, ends) => i18n.fill(t().when, { ...dayParts(begins), begins: time.clock(begins), ends: time.clock(ends) })
const moment = (at) => i18n.fill(t().moment, { ...dayParts(at), time: time.clock(at) })

/** The date so many days after a date. */
const later = (date, days) => new Date(Date.parse(`${date}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10)

const named = (name) => (name ? i18n.pick(name) : '')

/** Whose it is and what: 市民中心 车驾管1号窗口. */
const place = (of) => [named(of.unit_name), named(of.resource_name || of.name)].filter(Boolean).join(' ')

/** A booking as a line of a list. */
const lineOf = (booking) => ({
  id: booking.id,
  title: place(booking) || booking.resource,
  note: when(booking.begins_at, booking.ends_at),
  value: t().states[booking.state] || booking.state,
})

/** What a service is called, costs and needs. */
function serviceOf(service) {
  const materials = service.materials.map(named).join(t().comma)
  return {
    code: service.code,
    name: named(service.name),
    fee: service.fee_fen ? i18n.fill(t().fee, { yuan: service.fee_fen / 100 }) : t().free,
    bring: materials ? i18n.fill(t().bring, { materials }) : '',
  }
}

/** The last moment for something, as its rule says it: {days, at, minutes}. */
function cutOff({ days, at, minutes }) {
  const words = t().rules
  if (at !== null) return i18n.fill(days ? words.cutDay : words.cutSameDay, { days, time: at.slice(0, 5) })
  const all = days * 24 * HOUR_MINUTES + minutes
  const isHours = all > 0 && all % HOUR_MINUTES === 0
  return isHours ? i18n.fill(words.cutHours, { hours: all / HOUR_MINUTES }) : i18n.fill(words.cutMinutes, { minutes: all })
}

/** What follows if somebody does not come, or cancels: a sentence for each penalty of this strike. */
const penaltiesOf = (rules, strike) => rules.penalties
  .filter((each) => each.strike === strike)
  .map((each) => i18n.fill(t().rules[strike], { period: each.period_days, strikes: each.strikes, ban: each.ban_days }))

/** The rules of a resource as `{id, text}`, a sentence each, what matters first. */
function rulesOf(rules) {
  const words = t().rules
  const all = [
    i18n.fill(words.hold, { minutes: rules.hold_minutes }),
    i18n.fill(words.cancelBefore, { moment: cutOff(rules.cancel_until), moves: rules.moves }),
    i18n.fill(words.checkIn, { minutes: rules.check_in_opens_minutes, grace: rules.grace_minutes }),
    ...penaltiesOf(rules, 'missed'),
    ...penaltiesOf(rules, 'cancelled'),
    i18n.fill(words.open, { most: rules.max_open }),
    i18n.fill(words.window, { days: rules.window_days, time: rules.release_time.slice(0, 5) }),
  ]
  return all.map((text, id) => ({ id, text }))
}

module.exports = { day, dayParts, when, moment, later, named, place, lineOf, serviceOf, penaltiesOf, rulesOf, words: t }
