// One application and its way, like a parcel: what happened, what is missing, when it is expected, what came of it.

const { ask } = require('../../core/api')
const i18n = require('../../core/i18n')
const { page } = require('../../core/page')
const session = require('../../core/session')
const time = require('../../core/time')

const EVERY_S = 10
const END_OF_DAY = 'T23:59:59+08:00'
const stepOf = ({ seq, at, words, note }) => ({ seq, at: time.short(at), title: words, note })

/** What happens to the clock, in words. */
function clockOf({ due_on: due, runs, left_days: left }, t) {
  if (runs === 'paused') return left === null ? t.paused : i18n.fill(t.pausedLeft, { days: left })
  return due && (runs === 'work' || runs === 'intake') ? i18n.fill(t[runs], { day: due }) : ''
}

const picture = (buffer) => `data:image/svg+xml;base64,${wx.arrayBufferToBase64(buffer)}`

page({
  texts: require('./texts'),
  needsLogIn: true,
  everyS: EVERY_S,
  data: { one: null, steps: [], paper: null, questions: null, rating: null, stars: 0, tags: [], comment: '' },

  async load({ id }) {
    const answer = await ask('applications.get', { path: { application: id }, keep: true })
    const rating = answer.data.deadline.runs === 'done' && answer.data.number ? await this.ratingOf(id) : {}
    return { ...rating, one: this.shown(answer), steps: answer.data.timeline.map(stepOf).reverse(), asOf: this.age(answer) }
  },

  /** While it is on the screen; a bad network says nothing then. */
  async tick() {
    if (this.data.state !== 'ready' || this.data.busy) return
    try {
      const { status } = await ask('applications.get', { path: { application: this.options.id }, keep: true, isOnce: true })
      if (status !== 304) await this.reload()
    } catch (problem) {
      if (problem.status === undefined) throw problem
    }
  },

  shown(answer) {
    const view = answer.data
    const { t } = this.data
    const { deadline, allowed, timeline } = view
    const isDone = deadline.runs === 'done'
    const asking = timeline.filter((each) => each.action === 'ask' || each.action === 'ask_again').pop()
    const me = (session.current() || { account: '' }).account
    return {
      name: view.name,
      etag: answer.etag,
      number: view.number,
      code: view.code,
      state: view.state_words,
      isDone,
      isDraft: view.state === 'draft',
      isSupplement: view.state === 'supplement',
      asked: asking ? asking.note || asking.words : '',
      clock: clockOf(deadline, t),
      until: deadline.due_on && (deadline.runs === 'work' || deadline.runs === 'intake') ? deadline.due_on + END_OF_DAY : '',
      mayUrge: allowed.includes('urge'),
      mayWithdraw: allowed.includes('withdraw'),
      mayAgree: view.agreements.some(({ account, answer }) => account === me && answer === 'waiting'),
      papers: view.number ? (isDone ? ['result', 'receipt'] : ['receipt']).map((kind) => ({ kind, text: t.papers[kind] })) : [],
    }
  },

  async ratingOf(id) {
    try {
      const { data } = await ask('ratings.get', { path: { application: id }, keep: true })
      return { rating: { stars: this.data.t.levels[data.stars], comment: data.comment }, questions: null }
    } catch (problem) {
      if (problem.status !== 404) throw problem
    }
    const { data } = await ask('ratings.questions', { keep: true })
    const language = i18n.language()
    const levels = [5, 4, 3, 2, 1].map((stars) => ({ stars: String(stars), text: this.data.t.levels[stars] }))
    return { rating: null, questions: { levels, tags: data.tags.map((tag) => ({ id: tag.id, isBad: tag.is_bad, text: tag[language] || tag.zh })) } }
  },

  goOn() {
    wx.navigateTo({ url: `/pages/apply/apply?id=${this.options.id}` })
  },

  /** A step that is one request; the page shows what came of it. */
  step(name, version) {
    return this.act(name, async () => {
      await ask(name, { path: { application: this.options.id }, version })
      await this.reload()
    })
  },

  urge() {
    return this.step('applications.urge')
  },
  agree() {
    return this.step('applications.agree', this.data.one.etag) // to what is on the screen, not to what it became since
  },
  decline() {
    return this.sure(this.data.t.declineAsk, 'applications.decline', () => wx.reLaunch({ url: '/pages/home/home' }))
  },
  withdraw() {
    return this.sure(this.data.t.withdrawAsk, 'applications.withdraw', () => this.reload())
  },

  sure(title, name, then) {
    return this.act(name, async () => {
      const { confirm } = await wx.showModal({ title })
      if (!confirm) return
      await ask(name, { path: { application: this.options.id } })
      await then()
    })
  },

  showPaper({ currentTarget: { dataset: { kind } } }) {
    return this.act(`paper ${kind}`, async () => {
      const path = { application: this.options.id }
      const names = kind === 'result' ? ['applications.result', 'applications.resultCode'] : ['applications.receipt', 'applications.receiptCode']
      const [paper, code] = await Promise.all([ask(names[0], { path, keep: true }), ask(names[1], { path, raw: 'arraybuffer' })])
      this.setData({ paper: { ...paper.data, kind, heading: this.data.t.papers[kind], code: picture(code.data), verdict: '' } })
    })
  },

  /** What whoever scans the code reads. */
  verify() {
    return this.act('verify', async () => {
      const { t, paper } = this.data
      const { data } = await ask('papers.verify', { body: { paper: paper.paper } })
      const outcome = data.kind === 'result' ? (data.content.is_granted ? t.granted : t.notGranted) : ''
      this.setData({ paper: { ...paper, verdict: `${data.is_current ? t.genuine : t.superseded} ${outcome}` } })
    })
  },

  copy() {
    wx.setClipboardData({ data: this.data.paper.address })
  },

  // 好差评

  rate({ detail }) {
    this.setData({ stars: Number(detail.value) })
  },
  tag({ detail }) {
    this.setData({ tags: detail.value })
  },
  comment({ detail }) {
    this.setData({ comment: detail.value })
  },

  sendRating() {
    return this.act('rating', async () => {
      const { stars, tags, comment, t } = this.data
      if (!stars) {
        wx.showToast({ title: t.chooseLevel, icon: 'none' })
        return
      }
      await ask('ratings.rate', { path: { application: this.options.id }, body: { stars, tags, comment } })
      await this.reload()
    })
  },
})
