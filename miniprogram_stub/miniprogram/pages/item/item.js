// One item: who it is for, materials, fee, time.

const { ask } = require('../../core/api')
const i18n = require('../../core/i18n')
const { page } = require('../../core/page')

page({
  texts: require('./texts'),
  data: { item: null },

  async load({ id }) {
    const answer = await ask('items.get', { path: { catalogue_item: id }, keep: true })
    return { item: { name: i18n.pick(answer.data.name), about: i18n.pick(answer.data.about) }, asOf: this.age(answer) }
  },

  apply() {
    wx.navigateTo({ url: `/pages/apply/apply?item=${this.options.id}` })
  },
})
