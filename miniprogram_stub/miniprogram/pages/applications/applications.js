// What I applied for, newest change first.

const { ask } = require('../../core/api')
const i18n = require('../../core/i18n')
const { page } = require('../../core/page')

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { applications: [] },

  async load() {
    const answer = await ask('applications.list', { keep: true })
    const applications = answer.data.applications.map(({ id, item, name, state }) => ({ id, title: name ? i18n.pick(name) : item, state }))
    return { applications, asOf: this.age(answer), state: applications.length ? 'ready' : 'empty' }
  },
})
