// Alerts: those for my places first, then the others of the city, then what was. Whoever looks at it sees news at once.

const { ask } = require('../../core/api')
const { lineOf } = require('../../core/alerts')
const { page } = require('../../core/page')
const { optional } = require('../../core/problem')
const session = require('../../core/session')

const NEWEST = Number.MAX_SAFE_INTEGER // the cursor before which the newest release is
const PAST = 10 // releases at a time
const MOST = 40 // lines of one list

const isPast = ({ alert }) => alert.standing !== 'active' && alert.standing !== 'all_clear'

page({
  texts: require('./texts'),
  watchesAlerts: true,
  data: { mine: [], others: [], past: [], before: 0, isIn: false, grants: null },

  async load() {
    const isIn = session.isIn()
    const [inbox, city, released, grants] = await Promise.all([
      isIn ? ask('inbox.page', { query: { limit: 1 }, keep: true }) : null,
      ask('alerts.list', { keep: true }),
      optional(ask('alerts.released', { query: { before: NEWEST, limit: PAST }, keep: true })),
      isIn ? optional(ask('grants.get', { keep: true })) : null,
    ])
    const mine = inbox ? inbox.data.alerts.map(lineOf) : []
    const known = mine.map((line) => line.id)
    const others = city.data.alerts.map((alert) => lineOf({ alert })).filter((line) => !known.includes(line.id))
    return {
      isIn,
      mine: mine.slice(0, MOST),
      others: others.slice(0, MOST),
      ...this.pastOf(released, []),
      grants: grants && !grants.isOld ? grants.data : null,
      asOf: this.age(inbox && inbox.isOld ? inbox : city),
    }
  },

  /** What was, newest first, after what is known of it; `before` 0: there is no more. */
  pastOf(answer, known) {
    if (!answer) return { past: known, before: 0 }
    const { events, next } = answer.data
    const past = [...known, ...events.filter(isPast).map(lineOf)].slice(0, MOST)
    return { past, before: events.length === PAST && past.length < MOST ? next : 0 }
  },

  more() {
    return this.act('more', async () => {
      const answer = await ask('alerts.released', { query: { before: this.data.before, limit: PAST } })
      this.setData(this.pastOf(answer, this.data.past))
    })
  },
})
