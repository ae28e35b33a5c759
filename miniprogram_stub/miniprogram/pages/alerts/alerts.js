// All alerts in force in the city, worst first.

const { ask } = require('../../core/api')
const { lineOf } = require('../../core/alerts')
const { page } = require('../../core/page')

page({
  texts: require('./texts'),
  data: { alerts: [] },

  async load() {
    const answer = await ask('alerts.list', { keep: true })
    const alerts = answer.data.alerts.map((alert) => lineOf({ alert }))
    return { alerts, asOf: this.age(answer), state: alerts.length ? 'ready' : 'empty' }
  },
})
