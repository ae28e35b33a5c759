// The form of an item.

const { ask } = require('../../core/api')
const i18n = require('../../core/i18n')
const { page } = require('../../core/page')

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { name: '' },

  async load({ item }) {
    const answer = await ask('items.get', { path: { catalogue_item: item }, keep: true })
    return { name: i18n.pick(answer.data.name) }
  },
})
