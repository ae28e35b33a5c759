// Find what can be booked: what kind of thing first, then where. An item of the catalogue leads here with its `service`.
//
// query: `kind`, `service`, `unit`, `group`, `division`, each as /v1/resources takes it; all may be left out.

const { ask } = require('../../core/api')
const bookings = require('../../core/booking/words')
const i18n = require('../../core/i18n')
const { page } = require('../../core/page')

const GIVEN = ['kind', 'service', 'unit', 'group', 'division']
const PAGE = 15
const KM = 1000

/** How far, in words: to ten metres, or to a hundred. */
function far(metres, t) {
  if (metres === null) return ''
  if (metres < KM) return i18n.fill(t.metres, { n: Math.max(10, Math.round(metres / 10) * 10) })
  return i18n.fill(t.kilometres, { n: (metres / KM).toFixed(1) })
}

/** The districts that one can choose from, `everywhere` first. */
async function areas(everywhere) {
  const { data: { divisions: cities } } = await ask('divisions.find', { keep: true })
  const below = await Promise.all(cities.map(({ code }) => ask('divisions.find', { query: { parent: code }, keep: true })))
  const name = (one) => (i18n.language() === 'en' && one.name_en ? one.name_en : one.name)
  const all = below.map(({ data }) => data.divisions.map((one) => ({ code: one.code, name: name(one) })))
  return [{ code: '', name: everywhere }].concat(...all)
}

page({
  texts: require('./texts'),
  data: {
    kinds: [], kind: '', kindName: '', isNear: false, noPlace: false, areas: [], area: 0, services: [], service: 0, resources: [],
    following: '', isFirst: true,
  },

  onLoad(query) {
    this.wanted = {}
    GIVEN.forEach((name) => { if (query[name]) this.wanted[name] = query[name] })
    this.point = {}
    this.after = ''
    this.known = []
  },

  async load() {
    const { t } = this.data
    const words = bookings.words()
    const kinds = Object.keys(words.kinds).map((code) => ({ code, name: words.kinds[code] }))
    if (!Object.keys(this.wanted).length) return { kinds, kind: '', resources: [] }
    const [list, answer] = await Promise.all([
      areas(t.everywhere),
      ask('resources.list', { query: { ...this.wanted, ...this.point, after: this.after, limit: PAGE }, keep: true }),
    ])
    const { resources, next } = answer.data
    this.learn(resources)
    const services = [{ code: '', name: t.anyService }].concat(this.known)
    const at = (all, code) => Math.max(0, all.findIndex((each) => each.code === code))
    return {
      kinds,
      kind: this.wanted.kind || 'any',
      kindName: words.kinds[this.wanted.kind] || t.found,
      areas: list,
      area: at(list, this.wanted.division),
      services,
      service: at(services, this.wanted.service),
      resources: resources.map((each) => this.line(each)),
      following: next,
      isFirst: !this.after,
      asOf: this.age(answer),
    }
  },

  /** Services to choose from: those of what was found so far for this kind. */
  learn(resources) {
    const codes = this.known.map(({ code }) => code)
    resources.forEach((each) => each.services.forEach((service) => {
      if (codes.includes(service.code)) return
      codes.push(service.code)
      this.known.push({ code: service.code, name: bookings.named(service.name) })
    }))
  },

  line(resource) {
    const service = this.wanted.service ? `&service=${this.wanted.service}` : ''
    const note = [bookings.named(resource.group_name), far(resource.distance_m, this.data.t), bookings.named(resource.address)]
    return { id: resource.id, title: bookings.place(resource), note: note.filter(Boolean).join(' · '), url: `/pages/times/times?resource=${resource.id}${service}` }
  },

  choose({ currentTarget }) {
    this.known = []
    return this.look({ kind: currentTarget.dataset.kind, service: '' })
  },

  again() {
    this.wanted = {}
    this.after = ''
    return this.reload()
  },

  chooseArea({ detail }) {
    return this.look({ division: this.data.areas[detail.value].code })
  },

  chooseService({ detail }) {
    return this.look({ service: this.data.services[detail.value].code })
  },

  look(changed) {
    Object.assign(this.wanted, changed)
    this.after = ''
    return this.reload()
  },

  /** By the telephone's own position, as WeChat gives it: GCJ-02. */
  near() {
    return this.act('near', async () => {
      let found = null
      try {
        found = await wx.getLocation({ type: 'gcj02' })
      } catch (refused) {
        this.setData({ noPlace: true })
        return
      }
      this.point = { near: `${found.latitude.toFixed(6)},${found.longitude.toFixed(6)}`, datum: 'gcj02' }
      this.after = ''
      await this.reload()
      this.setData({ isNear: true, noPlace: false })
    })
  },

  more() {
    this.after = this.data.following
    return this.reload()
  },

  first() {
    this.after = ''
    return this.reload()
  },
})
