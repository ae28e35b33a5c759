// Who used my data: each look of an office, newest first, with its purpose and what it saw.

const { ask } = require('../../core/api')
const { page } = require('../../core/page')
const time = require('../../core/time')

const PAGE = 20
const MOST = 60 // on the screen; older ones take the place of newer ones

const lineOf = (use) => ({
  id: `${use.at} ${use.unit} ${use.about} ${use.fields.join(' ')}`,
  at: time.short(use.at),
  office: use.office || use.unit,
  purpose: use.purpose,
  fields: use.fields.join('、'),
  about: use.about,
})

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { uses: [], next: '' },

  async load() {
    const answer = await ask('uses.list', { query: { limit: PAGE }, keep: true })
    const { uses, next } = answer.data
    return { uses: uses.map(lineOf), next, asOf: this.age(answer), state: uses.length ? 'ready' : 'empty' }
  },

  older() {
    return this.act('older', async () => {
      const { data } = await ask('uses.list', { query: { limit: PAGE, cursor: this.data.next } })
      this.setData({ uses: [...this.data.uses, ...data.uses.map(lineOf)].slice(-MOST), next: data.next })
    })
  },
})
