// What I applied for, newest change first; after the first time only what changed is asked for.

const { all } = require('../../core/applications')
const i18n = require('../../core/i18n')
const outbox = require('../../core/outbox')
const { page } = require('../../core/page')
const time = require('../../core/time')

const SHOWN = 40

const lineOf = (t) => ({ id, name, state, state_words: words, deadline, changed_at: at }) => ({
  id,
  title: name,
  value: words || t.states[state] || state,
  note: deadline.due_on && deadline.runs !== 'done' ? i18n.fill(t.due, { day: deadline.due_on }) : time.short(at),
  isNew: state === 'supplement',
  url: state === 'draft' ? `/pages/apply/apply?id=${id}` : `/pages/application/application?id=${id}`,
})

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { applications: [], shown: SHOWN, total: 0 },

  onShow() {
    this.deaf = outbox.listen(({ is }) => is !== 'waiting' && this.reload())
  },
  onHide() {
    this.deaf()
  },
  onUnload() {
    this.deaf()
  },

  async load() {
    const found = await all()
    const applications = found.applications.slice(0, this.data.shown).map(lineOf(this.data.t))
    return {
      applications, total: found.applications.length, asOf: this.age(found), queued: outbox.waiting().length,
      state: applications.length ? 'ready' : 'empty',
    }
  },

  more() {
    this.setData({ shown: this.data.shown + SHOWN })
    return this.reload()
  },
})
