// One application and its way, like a parcel.

const { ask } = require('../../core/api')
const time = require('../../core/time')
const { page } = require('../../core/page')

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { number: '', steps: [] },

  async load({ id }) {
    const answer = await ask('applications.get', { path: { application: id }, keep: true })
    const steps = (answer.data.timeline || []).map(({ seq, at, words, note }) => ({ seq, at: time.short(at), title: words, note })).reverse()
    return { number: answer.data.number || '', steps, asOf: this.age(answer) }
  },
})
