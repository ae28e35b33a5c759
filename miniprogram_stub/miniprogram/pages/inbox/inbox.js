// Alerts in force for my places, and news of my things.

const { ask } = require('../../core/api')
const i18n = require('../../core/i18n')
const { page } = require('../../core/page')

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { items: [] },

  async load() {
    const answer = await ask('inbox.page', { keep: true })
    const items = answer.data.items.map(({ id, texts, page: url, read_at: readAt }) => ({ id, ...i18n.pick(texts), url: url && `/${url}`, isNew: !readAt }))
    return { items, asOf: this.age(answer), state: items.length ? 'ready' : 'empty' }
  },
})
