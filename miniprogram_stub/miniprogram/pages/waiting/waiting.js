// What I wait for: how many come before me, and a seat that is kept for me until I take it or let it go.
//
// query: `entry`, from a notice; it stands first. The page asks anew every few seconds while it is on the screen.

const { ask } = require('../../core/api')
const bookings = require('../../core/booking/words')
const i18n = require('../../core/i18n')
const { page } = require('../../core/page')

const MOST_OVER = 10
const OPEN = ['offered', 'waiting']

page({
  texts: require('./texts'),
  needsLogIn: true,
  everyS: 2,
  data: { entries: [], over: [] },

  async load({ entry }) {
    const answer = await ask('waiting.list', { keep: true })
    const all = await Promise.all(answer.data.entries.map((each) => this.shown(each)))
    const open = all.filter(({ state }) => OPEN.includes(state))
    const order = (each) => (each.id === entry ? -1 : OPEN.indexOf(each.state))
    open.sort((a, b) => order(a) - order(b))
    const over = all.filter(({ state }) => !OPEN.includes(state)).slice(0, MOST_OVER)
    return { entries: open, over, state: all.length ? 'ready' : 'empty', asOf: this.age(answer) }
  },

  tick() {
    if (!this.data.busy && this.data.state === 'ready' && this.data.entries.length) this.reload()
  },

  /** What the group or the resource is called: asked once for each. */
  async nameOf({ group, resource }) {
    this.names = this.names || {}
    const known = resource || group
    if (!(known in this.names)) {
      const { data } = await ask('resources.list', { query: { group, limit: 100 }, keep: true })
      const found = data.resources.find(({ id }) => id === resource) || data.resources[0]
      if (!found) return group
      this.names[known] = resource ? bookings.place(found) : [bookings.named(found.unit_name), bookings.named(found.group_name)].join(' ')
    }
    return this.names[known]
  },

  async shown(entry) {
    const { t } = this.data
    const { first_day: first, last_day: last, offer } = entry
    return {
      id: entry.id,
      state: entry.state,
      title: await this.nameOf(entry),
      days: i18n.fill(first === last ? t.days : t.range, { first: bookings.day(first), last: bookings.day(last) }),
      rank: entry.before ? i18n.fill(t.before, { n: entry.before }) : t.next,
      isReplacement: entry.is_replacement,
      isOwn: entry.is_own,
      offer: offer ? { when: bookings.when(offer.begins_at, offer.ends_at), place: bookings.place(offer), until: offer.hold_until, serverAt: offer.server_at } : null,
    }
  },

  take({ currentTarget }) {
    return this.act('take', async () => {
      try {
        const { data } = await ask('waiting.accept', { path: { entry: currentTarget.dataset.id } })
        wx.redirectTo({ url: `/pages/booking/booking?id=${data.id}` })
      } catch (problem) {
        await this.reload()
        throw problem
      }
    })
  },

  letGo({ currentTarget }) {
    return this.act('letGo', async () => {
      try {
        await ask('waiting.decline', { path: { entry: currentTarget.dataset.id } })
      } finally {
        await this.reload()
      }
    })
  },

  async leave({ currentTarget }) {
    const { t } = this.data
    const { confirm } = await wx.showModal({ title: t.leaveTitle, content: t.leaveAbout, confirmText: t.leave, cancelText: t.common.cancel })
    if (!confirm) return undefined
    return this.act('leave', async () => {
      await ask('waiting.end', { path: { entry: currentTarget.dataset.id } })
      await this.reload()
    })
  },
})
