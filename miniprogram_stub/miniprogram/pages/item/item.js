// One item: what it is, who may ask, what to bring and what need not be brought, fee, time, where, and how to begin.

const { ask } = require('../../core/api')
const { draftsOf } = require('../../core/applications')
const i18n = require('../../core/i18n')
const { page } = require('../../core/page')
const session = require('../../core/session')

const NEAR = 5
const words = (text) => (text ? i18n.pick(text) : '')

/** Where to book: that page takes what /v1/resources is asked with. */
const bookingOf = (visit) => {
  const query = ['kind', 'group', 'service'].filter((name) => visit[name]).map((name) => `${name}=${visit[name]}`).join('&')
  return `/pages/book/book?${query}`
}

const materialOf = (t) => ({ id, name, note, is_required: isRequired, source, kind, show_if: rule }) => ({
  id,
  name: i18n.pick(name),
  note: [words(note), isRequired ? '' : t.optional, rule ? t.sometimes : ''].filter(Boolean).join(' '),
  need: source ? i18n.fill(t.notNeeded, { source: i18n.pick(source.title) }) : kind === 'statement' ? t.statement : t.bring,
  isFree: Boolean(source),
})

const windowOf = ({ window, metres, visit }) => ({
  id: window.id,
  name: words(window.name),
  note: [metres === null ? '' : metres < 1000 ? `${metres} m` : `${(metres / 1000).toFixed(1)} km`, words(window.address), words(window.hours)].filter(Boolean).join(' · '),
  booking: visit ? bookingOf(visit) : '',
})

/** Relatives for whom one may apply. */
async function relatives() {
  if (!session.isIn()) return []
  const { data } = await ask('relatives.list', { keep: true })
  return data.relations
    .filter((each) => each.acts === 'for_another' && each.state === 'active' && each.account && each.scopes.includes('apply'))
    .map(({ account, name }) => ({ account, name }))
}

page({
  texts: require('./texts'),
  data: { item: null, windows: [], drafts: [], relatives: [], visits: [] },

  async load({ id }) {
    const { t } = this.data
    const [answer, windows, drafts, others] = await Promise.all([
      ask('items.get', { path: { catalogue_item: id }, keep: true }),
      ask('items.windows', { path: { catalogue_item: id }, query: { limit: NEAR }, keep: true }),
      draftsOf(id), relatives(),
    ])
    const { item, visits } = answer.data
    return {
      asOf: this.age(answer),
      windows: windows.data.windows.map(windowOf),
      drafts,
      relatives: others,
      visits: visits.map((visit) => ({ key: `${visit.kind} ${visit.service}`, url: bookingOf(visit) })),
      item: {
        name: i18n.pick(item.name),
        about: words(item.about),
        unit: i18n.pick(item.unit.name),
        isOffered: item.is_offered,
        isPaperless: answer.data.is_paperless,
        who: item.applicants.map((each) => t.applicants[each]).join('、'),
        conditions: item.conditions.map(({ text }, at) => ({ at, text: words(text) })),
        materials: item.materials.map(materialOf(t)),
        steps: item.steps.map((text, at) => ({ at, text: words(text) })),
        fee: item.fee_fen ? i18n.fill(t.yuan, { amount: item.fee_fen / 100 }) : t.free,
        feeNote: words(item.fee_note),
        time: item.promised_days ? i18n.fill(t.days, { promised: item.promised_days, legal: item.statutory_days }) : t.atOnce,
        modes: item.modes.map((mode) => t.modes[mode]).join('、'),
        basis: item.basis.join('；'),
      },
    }
  },

  /** The nearest counters, from where one is: asked only when wanted. */
  near() {
    return this.act('near', async () => {
      let spot
      try {
        spot = await wx.getLocation({ type: 'gcj02' })
      } catch (refused) {
        wx.showToast({ title: this.data.t.noPlace, icon: 'none' })
        return
      }
      const query = { point: `${spot.latitude.toFixed(4)},${spot.longitude.toFixed(4)}`, datum: 'gcj02', limit: NEAR }
      const { data } = await ask('items.windows', { path: { catalogue_item: this.options.id }, query })
      this.setData({ windows: data.windows.map(windowOf) })
    })
  },

  book({ currentTarget }) {
    wx.navigateTo({ url: currentTarget.dataset.url })
  },

  apply({ currentTarget }) {
    const { account } = currentTarget.dataset
    wx.navigateTo({ url: `/pages/apply/apply?item=${this.options.id}${account ? `&account=${account}` : ''}` })
  },
})
