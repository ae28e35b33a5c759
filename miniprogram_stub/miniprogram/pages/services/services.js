// Find an item of the catalogue: by words as one types, by moment of life 一件事, by theme.

const { ask } = require('../../core/api')
const i18n = require('../../core/i18n')
const { page } = require('../../core/page')

const PAGE = 20
const PAUSE_MS = 250 // after the last key
const lineOf = ({ id, name, unit }) => ({ id, name: i18n.pick(name), unit: i18n.pick(unit) })
const groupOf = ({ id, name, about, items }) => ({ id, name: i18n.pick(name), about: about ? i18n.pick(about) : '', count: typeof items === 'number' ? items : items.length })

page({
  texts: require('./texts'),
  data: { q: '', moment: '', theme: '', within: '', items: [], next: null, total: 0, moments: [], themes: [], isFound: false },

  async load() {
    const { q, moment, theme } = this.data
    if (!q.trim() && !moment && !theme) return this.browse()
    const answer = await this.find(0)
    return { ...this.found(answer, []), asOf: this.age(answer) }
  },

  /** What there is, before anything is looked for. */
  async browse() {
    const [moments, themes] = await Promise.all([ask('items.moments', { keep: true }), ask('items.themes', { keep: true })])
    return {
      isFound: false, moments: moments.data.moments.map(groupOf), themes: themes.data.groups.map(groupOf), asOf: this.age(moments),
    }
  },

  find(after) {
    const { q, moment, theme } = this.data
    return ask('items.find', { query: { q: q.trim(), moment, theme, limit: PAGE, after: after || '' }, keep: true })
  },

  found({ data }, before) {
    return { isFound: true, items: [...before, ...data.items.map(lineOf)], next: data.next, total: data.total }
  },

  search({ detail }) {
    this.setData({ q: detail.value })
    clearTimeout(this.soon)
    this.soon = setTimeout(() => this.reload(), PAUSE_MS)
  },

  pickMoment({ currentTarget: { dataset } }) {
    this.setData({ moment: dataset.id, theme: '', within: dataset.name, q: '' })
    return this.reload()
  },

  pickTheme({ currentTarget: { dataset } }) {
    this.setData({ moment: '', theme: dataset.id, within: dataset.name, q: '' })
    return this.reload()
  },

  all() {
    this.setData({ moment: '', theme: '', within: '', q: '' })
    return this.reload()
  },

  more() {
    return this.act('more', async () => this.setData(this.found(await this.find(this.data.next), this.data.items)))
  },
})
