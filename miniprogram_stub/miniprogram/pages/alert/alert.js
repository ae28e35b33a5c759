// One alert: what, where, until when, what to do, what was said before; and the answer: I am safe, I need help.

const { ask } = require('../../core/api')
const { lineOf } = require('../../core/alerts')
const i18n = require('../../core/i18n')
const outbox = require('../../core/outbox')
const { page } = require('../../core/page')
const places = require('../../core/places')
const { optional } = require('../../core/problem')
const session = require('../../core/session')
const shapes = require('../../core/shapes')
const store = require('../../core/store')
const time = require('../../core/time')

const TELL = 'acknowledgement.tell'
const draftOf = (id) => `draft/help/${id}`
const noDraft = () => ({ note: '', text: '', point: null })

/** Alert `id` as the own inbox has it: exercises are nowhere else. */
async function find(id) {
  const inbox = session.isIn() ? await optional(ask('inbox.page', { query: { limit: 1 }, keep: true })) : null
  const found = inbox && inbox.data.alerts.find(({ alert }) => alert.identifier === id)
  if (found) return { answer: inbox, found }
  const answer = await ask('alerts.get', { path: { identifier: id }, keep: true })
  return { answer, found: { alert: answer.data } }
}

/** The shape of an alert in force, from the map of the city if it only names divisions. */
async function shapeOf(alert, level) {
  const own = { polygons: shapes.capPolygons(alert.areas, level), circles: shapes.capCircles(alert.areas, level) }
  if (own.polygons.length || own.circles.length) return own
  const answer = await optional(ask('alerts.map', { query: { division: alert.divisions[0] }, keep: true }))
  const feature = answer && answer.data.features.find((each) => each.id === alert.identifier)
  return { polygons: feature ? shapes.polygons(feature.geometry, level) : [], circles: [] }
}

page({
  texts: require('./texts'),
  data: { alert: null, map: null, mine: [], steps: [], said: null, isIn: false, isAsking: false, isOpen: false, draft: noDraft() },

  onShow() {
    this.deaf = outbox.listen(({ entry, is }) => {
      if (entry.name !== TELL || is === 'waiting') return
      this.setData({ queued: outbox.waiting().length })
      this.reload()
    })
  },
  onHide() {
    this.deaf()
  },
  onUnload() {
    this.deaf()
  },

  async load({ id }) {
    const isIn = session.isIn()
    const { answer, found } = await find(id)
    const alert = lineOf(found)
    const [history, own, shape, said] = await Promise.all([
      optional(ask('alerts.history', { path: { identifier: id }, keep: true })),
      isIn ? optional(places.mine()) : null,
      shapeOf(found.alert, alert.level),
      isIn ? this.saidOf(id) : null,
    ])
    const concerned = found.places || []
    const mine = own ? own.places.map((place) => this.besideOf(place, concerned)) : []
    const markers = mine.map((place, index) => shapes.marker(index, place.point, place.name)).filter(Boolean)
    if (isIn && concerned.length && !found.read_at) optional(outbox.post('inbox.readAlert', { path: { identifier: id } }))
    return {
      isIn,
      alert,
      mine,
      said,
      isOpen: isIn && found.alert.standing !== 'expired',
      steps: history ? history.data.alerts.map(this.stepOf, this).reverse() : [],
      map: shape.polygons.length || shape.circles.length ? shapes.view({ ...shape, markers }) : null,
      draft: store.mine.get(draftOf(id), noDraft()),
      asOf: this.age(answer),
    }
  },

  /** A place beside the map: what the map shows, in words. */
  besideOf({ id, name, label, code, where, point }, concerned) {
    const { t } = this.data
    const isWithin = concerned.some((place) => (place.id ? place.id === id : place.label === label && place.division === code))
    return { id, point, name, note: `${where}：${isWithin ? t.within : t.outside}` }
  },

  stepOf(alert, seq) {
    const line = lineOf({ alert })
    return { seq, at: line.sent, title: line.headline, note: line.description }
  },

  /** What I answered: what still waits here first. Null: nothing yet. */
  async saidOf(id) {
    const { t } = this.data
    const words = (state, at) => `${t.answered[state]} ${time.short(at)}`
    const waiting = outbox.waiting().filter(({ name, call }) => name === TELL && call.path.identifier === id).pop()
    if (waiting) return { state: waiting.call.body.state, words: words(waiting.call.body.state, waiting.at), isWaiting: true }
    const answer = await optional(ask('acknowledgement.get', { path: { identifier: id }, keep: true }))
    return answer && answer.data ? { state: answer.data.state, words: words(answer.data.state, answer.data.since), isWaiting: false } : null
  },

  tell(state, more = {}) {
    const { id } = this.options
    return this.act(state, async () => {
      await outbox.post(TELL, { path: { identifier: id }, body: { state, ...more } })
      store.mine.remove(draftOf(id))
      this.setData({ isAsking: false, queued: outbox.waiting().length, said: await this.saidOf(id) })
    })
  },

  tellSafe() {
    return this.tell('safe')
  },

  tellHelp() {
    const { note, text, point } = this.data.draft
    const place = point || text.trim() ? { text: text.trim(), ...(point ? { point } : {}) } : null
    return this.tell('help', { note: note.trim(), ...(place ? { place } : {}) })
  },

  openHelp() {
    this.setData({ isAsking: true })
  },

  closeHelp() {
    this.setData({ isAsking: false })
  },

  keepDraft(change) {
    const draft = { ...this.data.draft, ...change }
    store.mine.set(draftOf(this.options.id), draft)
    this.setData({ draft })
  },

  write({ detail }) {
    this.keepDraft({ [detail.name]: detail.value })
  },

  async choosePlace() {
    const found = await wx.chooseLocation({}).catch(() => null)
    if (!found) return
    this.keepDraft({ text: found.name || found.address, point: { lat: Number(found.latitude), lon: Number(found.longitude), datum: 'gcj02' } })
  },

  logIn() {
    wx.navigateTo({ url: `/pages/log-in/log-in?back=${encodeURIComponent(`/pages/alert/alert?id=${this.options.id}`)}` })
  },

  onShareAppMessage() {
    const { alert, t } = this.data
    const level = alert ? i18n.common().levels[alert.level] : ''
    return { title: alert ? `${level} ${alert.headline}` : t.title, path: `/pages/alert/alert?id=${this.options.id}` }
  },
})
