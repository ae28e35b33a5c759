// What departments have stated about me: source, time, purpose; what I say is wrong is not used until it is checked.

const { ask } = require('../../core/api')
const i18n = require('../../core/i18n')
const { page } = require('../../core/page')
const time = require('../../core/time')

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { facts: [], objections: [], objecting: '', text: '' },

  async load() {
    const answer = await ask('facts.list', { keep: true })
    const { facts, objections } = answer.data
    return {
      facts: facts.map((each) => this.factOf(each)),
      objections: objections.map((each) => this.objectionOf(each, facts)),
      asOf: this.age(answer),
      state: facts.length || objections.length ? 'ready' : 'empty',
    }
  },

  factOf(each) {
    const { t } = this.data
    return {
      id: `${each.fact} ${each.thing} ${each.source}`,
      fact: each.fact,
      title: each.title,
      value: typeof each.value === 'boolean' ? t.truth[each.value ? 'yes' : 'no'] : each.value === null ? t.over : String(each.value),
      source: i18n.fill(t.source, { source: each.source, time: time.short(each.as_of) }),
      standing: each.is_disputed ? t.disputed : each.is_in_conflict ? t.conflict : each.is_used ? t.used : t.unused,
      mayObject: !each.is_disputed,
    }
  },

  objectionOf(each, facts) {
    const { t } = this.data
    const known = facts.find(({ fact }) => fact === each.fact)
    return {
      id: each.id,
      title: known ? known.title : each.fact,
      text: each.text,
      answer: each.is_open ? t.waits : i18n.fill(t.answered, { time: time.short(each.answered_at), answer: each.answer }),
    }
  },

  begin({ currentTarget }) {
    this.setData({ objecting: currentTarget.dataset.fact, text: '' })
  },

  change({ detail }) {
    this.setData({ text: detail.value })
  },

  object() {
    return this.act('object', async () => {
      await ask('facts.object', { path: { fact: this.data.objecting }, body: { text: this.data.text } })
      this.setData({ objecting: '', text: '' })
      await this.reload()
    })
  },
})
