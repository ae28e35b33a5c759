// Bookings in the calendar of the telephone: a feed with a secret address, shown once.

const { ask } = require('../../core/api')
const { base } = require('../../core/config')
const i18n = require('../../core/i18n')
const { page } = require('../../core/page')
const time = require('../../core/time')

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { since: '', url: '' },

  async load() {
    const answer = await ask('calendar.get', { keep: true })
    const { made_at: madeAt } = answer.data
    return { since: madeAt ? i18n.fill(this.data.t.since, { time: time.short(madeAt) }) : '', asOf: this.age(answer) }
  },

  make() {
    return this.act('make', async () => {
      const { data } = await ask('calendar.make')
      this.setData({ url: data.url || base + data.path })
      await this.reload()
    })
  },

  copy() {
    return this.act('copy', () => wx.setClipboardData({ data: this.data.url }))
  },

  end() {
    return this.act('end', async () => {
      await ask('calendar.end')
      this.setData({ url: '' })
      await this.reload()
    })
  },
})
