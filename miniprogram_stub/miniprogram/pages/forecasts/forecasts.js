// The weather of my places.

const { ask } = require('../../core/api')
const { page } = require('../../core/page')

page({
  texts: require('./texts'),
  data: { alerts: 0 },

  async load() {
    const answer = await ask('alerts.version')
    return { alerts: answer.data ? answer.data.active : 0 }
  },
})
