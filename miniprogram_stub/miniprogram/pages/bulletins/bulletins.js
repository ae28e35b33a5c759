// Public notices: of what I follow first, then all that hold; or the one that a notice named, with its history.

const { ask } = require('../../core/api')
const i18n = require('../../core/i18n')
const outbox = require('../../core/outbox')
const { page } = require('../../core/page')
const { optional } = require('../../core/problem')
const session = require('../../core/session')
const time = require('../../core/time')

const MOST = 20 // of one page

const lineOf = ({ id, title, topic, areas, source, standing, changed_at: at }) => ({
  id, topic, standing, title: i18n.pick(title), areas: areas.map((area) => i18n.pick(area)).join(i18n.common().comma), source: i18n.pick(source), at: time.short(at),
})

page({
  texts: require('./texts'),
  data: { one: null, steps: [], followed: [], bulletins: [], topics: [], topicAt: 0, after: '', isIn: false },

  load({ id }) {
    return id ? this.loadOne(id) : this.loadList()
  },

  async loadOne(id) {
    const [answer] = await Promise.all([
      ask('bulletins.get', { path: { bulletin: id }, keep: true }),
      session.isIn() ? optional(outbox.post('inbox.readBulletin', { path: { bulletin: id } })) : null, // the list one goes back to knows
    ])
    const { bulletin, history } = answer.data
    const one = {
      ...lineOf(bulletin),
      body: i18n.pick(bulletin.body),
      from: time.short(bulletin.valid_from),
      until: time.short(bulletin.valid_until),
      note: bulletin.reason || bulletin.note,
      link: bulletin.link,
    }
    const steps = history.map((each) => ({ seq: each.version, at: time.short(each.published_at), title: i18n.pick(each.title), note: each.note }))
    return { one, steps, asOf: this.age(answer) }
  },

  async loadList() {
    const isIn = session.isIn()
    const [known, inbox] = await Promise.all([
      ask('bulletins.topics', { keep: true }),
      isIn ? optional(ask('inbox.page', { query: { limit: 1 }, keep: true })) : null,
    ])
    this.topics = known.data.topics
    const followed = inbox ? inbox.data.bulletins.map(({ bulletin, read_at: readAt }) => ({ ...this.named(bulletin), isNew: !readAt })) : []
    const answer = await this.askPage('')
    return {
      isIn,
      followed: followed.slice(0, MOST),
      topics: [this.data.t.allTopics, ...this.topics.map(i18n.pick)],
      bulletins: answer.data.bulletins.map((each) => this.named(each)),
      after: answer.data.next || '',
      asOf: this.age(answer),
    }
  },

  askPage(after) {
    const topic = this.topics[this.data.topicAt - 1]
    return ask('bulletins.list', { query: { topic: topic && topic.id, after, limit: MOST }, keep: true })
  },

  /** A line with the name of its topic. */
  named(bulletin) {
    const { t } = this.data
    const line = lineOf(bulletin)
    const topic = this.topics.find((each) => each.id === line.topic)
    const standing = line.standing === 'withdrawn' ? `${t.standings.withdrawn} ` : ''
    return { ...line, title: standing + line.title, note: [topic ? i18n.pick(topic) : '', line.areas, line.source, line.at].filter(Boolean).join(' · ') }
  },

  pickTopic({ detail }) {
    this.setData({ topicAt: detail.value })
    return this.reload()
  },

  more() {
    return this.act('more', async () => {
      const answer = await this.askPage(this.data.after)
      const bulletins = [...this.data.bulletins, ...answer.data.bulletins.map((each) => this.named(each))].slice(0, 2 * MOST)
      this.setData({ bulletins, after: bulletins.length < 2 * MOST ? answer.data.next || '' : '' })
    })
  },

  copyLink() {
    wx.setClipboardData({ data: this.data.one.link })
  },

  onShareAppMessage() {
    const { one, t } = this.data
    return one ? { title: one.title, path: `/pages/bulletins/bulletins?id=${one.id}` } : { title: t.title, path: '/pages/bulletins/bulletins' }
  },
})
