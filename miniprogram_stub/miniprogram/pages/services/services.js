// Find an item of the catalogue.

const { ask } = require('../../core/api')
const i18n = require('../../core/i18n')
const { page } = require('../../core/page')

page({
  texts: require('./texts'),
  data: { q: '', items: [] },

  async load() {
    const answer = await ask('items.find', { query: { q: this.data.q, limit: 20 }, keep: true })
    return { items: answer.data.items.map(({ id, name, unit }) => ({ id, name: i18n.pick(name), unit: i18n.pick(unit) })), asOf: this.age(answer) }
  },

  search({ detail }) {
    this.setData({ q: detail.value })
    clearTimeout(this.soon)
    this.soon = setTimeout(() => this.reload(), 300)
  },
})
