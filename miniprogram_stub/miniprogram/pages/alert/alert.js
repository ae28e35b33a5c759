// One alert: what, where, until when, what to do.

const { ask } = require('../../core/api')
const { lineOf } = require('../../core/alerts')
const { page } = require('../../core/page')

page({
  texts: require('./texts'),
  data: { alert: null },

  async load({ id }) {
    const answer = await ask('alerts.get', { path: { identifier: id }, keep: true })
    return { alert: lineOf({ alert: answer.data }), asOf: this.age(answer) }
  },
})
