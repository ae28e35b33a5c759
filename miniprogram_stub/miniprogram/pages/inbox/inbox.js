// Alerts in force for my places, public notices I follow, and news of my things; what is new is marked.

const { lineOf } = require('../../core/alerts')
const i18n = require('../../core/i18n')
const news = require('../../core/news')
const { page } = require('../../core/page')
const time = require('../../core/time')

const SHOWN = 25 // items on the screen at once: a cheap telephone scrolls no more

const alertOf = (each) => ({ ...lineOf(each), isNew: !each.read_at })

const bulletinOf = ({ bulletin, read_at: readAt }) => ({
  id: bulletin.id, title: i18n.pick(bulletin.title), note: time.short(bulletin.changed_at), isNew: !readAt,
})

const itemOf = ({ id, texts, page: url, at, read_at: readAt }) => ({
  id, ...i18n.pick(texts), url, when: time.short(at), isNew: !readAt,
})

page({
  texts: require('./texts'),
  watchesAlerts: true,
  needsLogIn: true,
  data: { alerts: [], bulletins: [], items: [], unread: 0, from: 0, isMore: false },

  /** What is kept stands there at once; without a network it stays, with its time. */
  async load() {
    try {
      return this.drawn(await news.refresh())
    } catch (problem) {
      if (!problem.words || !news.kept().at || (problem.code !== 'offline' && problem.status < 500)) throw problem
      return { ...this.drawn(news.kept()), asOf: this.age({ isOld: true, at: news.kept().at }) }
    }
  },

  drawn(found) {
    const { from } = this.data
    const all = found.items.length + found.alerts.length + found.bulletins.length
    return {
      alerts: found.alerts.map(alertOf),
      bulletins: found.bulletins.slice(0, SHOWN).map(bulletinOf),
      items: found.items.slice(from, from + SHOWN).map(itemOf),
      isMore: found.items.length > from + SHOWN,
      unread: found.unread.items,
      asOf: '',
      state: all ? 'ready' : 'empty',
    }
  },

  redraw() {
    const { asOf } = this.data
    this.setData({ ...this.drawn(news.kept()), asOf })
  },

  go(url) {
    wx.navigateTo({ url, fail: () => wx.switchTab({ url }) })
  },

  openAlert({ currentTarget }) {
    return this.lead('alerts', currentTarget.dataset.id, `/pages/alert/alert?id=${currentTarget.dataset.id}`)
  },
  openBulletin({ currentTarget }) {
    return this.lead('bulletins', currentTarget.dataset.id, `/pages/bulletins/bulletins?id=${currentTarget.dataset.id}`)
  },
  openItem({ currentTarget }) {
    const { id, url } = currentTarget.dataset
    return this.lead('items', id, url && `/${url}`)
  },

  /** Marked as read whatever comes of it, and to its page. */
  lead(kind, id, url) {
    return this.act('open', async () => {
      const told = news.open(kind, id)
      this.redraw()
      if (url) this.go(url)
      await told
    })
  },

  readAll() {
    return this.act('readAll', async () => {
      await news.openAll()
      this.redraw()
    })
  },

  older() {
    this.setData({ from: this.data.from + SHOWN })
    this.redraw()
  },
  newer() {
    this.setData({ from: Math.max(0, this.data.from - SHOWN) })
    this.redraw()
  },
})
