// What I wait for, and what is offered.

const { ask } = require('../../core/api')
const { page } = require('../../core/page')

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { entries: [] },

  async load() {
    const answer = await ask('waiting.list', { keep: true })
    const entries = Object.values(answer.data).find(Array.isArray) || []
    return { entries, state: entries.length ? 'ready' : 'empty', asOf: this.age(answer) }
  },
})
