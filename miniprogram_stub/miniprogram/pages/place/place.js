// One place of mine, to add or to change: what it is to me, and where: a point on a map, or a division, or both.
//
// Whoever saves a place wants its alerts: that tap is the moment to ask WeChat for leave to send them.

const { ask } = require('../../core/api')
const grants = require('../../core/grants')
const i18n = require('../../core/i18n')
const { page } = require('../../core/page')
const { optional } = require('../../core/problem')
const store = require('../../core/store')

const LABELS = ['home', 'work', 'parents', 'other']
const DRAFT = 'draft/place'
const LOCATION = 'location' // the purpose that coordinates are kept for
const blank = (label) => ({ label: LABELS.includes(label) ? label : 'home', name: '', division: '', address: '', point: null })

/** A place of the server's as a form. */
const formOf = ({ label, name, address, division, point }) => ({
  label, name, address, division: division.code, point: point ? { lat: point.lat, lon: point.lon, datum: point.datum } : null,
})

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { id: '', form: blank('home'), labels: [], labelAt: 0, lacking: [], consent: null },

  async load({ id = '', label = '' }) {
    const [answer, leave, consents] = await Promise.all([
      id ? ask('places.list', { keep: true }) : null,
      optional(ask('grants.get')),
      optional(ask('consents.list')),
    ])
    const found = answer && answer.data.places.find((place) => place.id === id)
    const draft = store.mine.get(DRAFT, null)
    const form = draft && draft.id === id && (!label || draft.form.label === label) ? draft.form : found ? formOf(found) : blank(label)
    return {
      id: found ? id : '',
      ...this.shown(form),
      labels: LABELS.map((each) => i18n.common().labels[each]),
      lacking: leave ? grants.lacking(leave.data) : [],
      consent: consents ? consents.data.consents.find((each) => each.purpose === LOCATION) || null : null,
    }
  },

  shown: (form) => ({ form, labelAt: LABELS.indexOf(form.label) }),

  keep(change) {
    const form = { ...this.data.form, ...change }
    store.mine.set(DRAFT, { id: this.data.id, form })
    this.setData(this.shown(form))
  },

  write({ detail }) {
    this.keep({ [detail.name]: detail.value })
  },

  pickLabel({ detail }) {
    this.keep({ label: LABELS[detail.value] })
  },

  /** A division instead of the point. */
  pickDivision({ detail }) {
    this.keep({ division: detail.value, point: null })
  },

  async choose() {
    if (!(await this.mayKeepPoints())) return
    const found = await wx.chooseLocation({}).catch(() => null)
    if (!found) return
    const point = { lat: Number(found.latitude), lon: Number(found.longitude), datum: 'gcj02' }
    this.keep({ point, division: '', address: found.address || found.name, name: this.data.form.name || found.name.slice(0, 20) })
  },

  /** Coordinates are kept for whoever agreed to that: asked by itself, when it is needed; a division needs no leave. */
  mayKeepPoints() {
    const { consent, t } = this.data
    if (!consent || consent.is_given) return true
    return this.act('consent', async () => {
      const { confirm } = await wx.showModal({ title: consent.title, content: consent.text, confirmText: t.agree, cancelText: t.refuse })
      if (!confirm) return false
      await ask('consents.agree', { path: { purpose: consent.purpose }, body: { version: consent.version } })
      this.setData({ consent: { ...consent, is_given: true } })
      return true
    })
  },

  save() {
    const { id, form, lacking } = this.data
    const body = { label: form.label, name: form.name, address: form.address, ...(form.division ? { division: form.division } : {}), ...(form.point ? { point: form.point } : {}) }
    return this.act('save', async () => {
      await optional(grants.ask(lacking)) // first, while this is still the tap
      if (id) await ask('places.change', { path: { place: id }, body })
      else await ask('places.add', { body })
      this.leave()
    })
  },

  async remove() {
    const { t, form } = this.data
    const { confirm } = await wx.showModal({ title: t.remove, content: i18n.fill(t.removeAsk, { name: form.name || this.data.labels[this.data.labelAt] }), confirmText: t.yes, cancelText: t.common.cancel })
    if (!confirm) return undefined
    return this.act('remove', async () => {
      await ask('places.remove', { path: { place: this.data.id } })
      this.leave()
    })
  },

  leave() {
    store.mine.remove(DRAFT)
    if (getCurrentPages().length > 1) wx.navigateBack()
    else wx.redirectTo({ url: '/pages/subscribe/subscribe' })
  },
})
