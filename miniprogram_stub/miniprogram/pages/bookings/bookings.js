// My bookings, and those I made for others: what comes next, what was, and whether a seat waits for my answer.

const { ask } = require('../../core/api')
const bookings = require('../../core/booking/words')
const { page } = require('../../core/page')

const PAGE = 20
const MOST_PAST = 60 // longer lists make a cheap telephone slow; the export has them all

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { upcoming: [], past: null, following: '', waits: '', isOffered: false },

  async load() {
    const [answer, waiting] = await Promise.all([
      ask('bookings.list', { query: { when: 'upcoming', limit: PAGE }, keep: true }),
      ask('waiting.list', { keep: true }),
    ])
    const entries = waiting.data.entries.filter(({ state }) => state === 'waiting' || state === 'offered')
    return {
      upcoming: answer.data.bookings.map((each) => this.line(each)),
      waits: entries.length ? String(entries.length) : '',
      isOffered: entries.some(({ state }) => state === 'offered'),
      asOf: this.age(answer),
    }
  },

  line(booking) {
    const line = bookings.lineOf(booking)
    return booking.is_own ? line : { ...line, note: `${line.note} · ${this.data.t.other}` }
  },

  showPast() {
    return this.act('past', async () => {
      const { past, following } = this.data
      const { data } = await ask('bookings.list', { query: { when: 'past', limit: PAGE, after: following }, keep: true })
      const all = (past || []).concat(data.bookings.map((each) => this.line(each)))
      this.setData({ past: all.slice(0, MOST_PAST), following: all.length < MOST_PAST ? data.next : '' })
    })
  },

  book() {
    wx.navigateTo({ url: '/pages/book/book' })
  },
})
