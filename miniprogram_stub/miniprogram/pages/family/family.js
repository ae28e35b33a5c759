// For whom I act, and who acts for me: asked, agreed (in their account or by a code on their telephone), ended.

const { ask } = require('../../core/api')
const i18n = require('../../core/i18n')
const { page } = require('../../core/page')
const time = require('../../core/time')

const SCOPES = ['book', 'apply', 'see']
const ROLES = ['parent', 'child', 'spouse', 'other']
const LIVE = ['asked', 'active']
const DAYS = 365

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: {
    mine: [], theirs: [], requests: [], isAsking: false, confirming: '', roleNames: [], role: 0,
    form: { name: '', id_number: '' }, scopes: [],
  },

  async load() {
    const [all, requests] = await Promise.all([ask('relatives.list', { keep: true }), ask('relatives.requests', { keep: true })])
    const lines = all.data.relations.filter(({ state }) => LIVE.includes(state)).map((each) => this.lineOf(each))
    const waiting = new Set(requests.data.relations.map(({ id }) => id))
    const { t } = this.data
    return {
      mine: lines.filter(({ acts }) => acts === 'for_another'),
      theirs: lines.filter(({ acts, id }) => acts === 'for_me' && !waiting.has(id)),
      requests: requests.data.relations.map((each) => this.lineOf(each)),
      roleNames: ROLES.map((role) => t.roles[role]),
      scopes: this.data.scopes.length ? this.data.scopes : SCOPES.map((scope) => ({ scope, text: t.scopes[scope], isOn: scope !== 'see' })),
      asOf: this.age(all),
    }
  },

  lineOf(each) {
    const { t } = this.data
    const may = each.scopes.map((scope) => t.scopes[scope]).join('、')
    const until = each.until ? i18n.fill(t.until, { date: time.date(each.until) }) : ''
    return {
      id: each.id,
      acts: each.acts,
      name: each.name,
      note: [t.roles[each.role] || '', may, until].filter(Boolean).join(' · '),
      standing: t.states[each.state] || each.state,
      isAsked: each.state === 'asked',
    }
  },

  begin() {
    this.setData({ isAsking: true })
  },
  change({ detail }) {
    this.setData({ [`form.${detail.name}`]: detail.value })
  },
  choose({ detail }) {
    this.setData({ role: Number(detail.value) })
  },
  toggle({ detail }) {
    this.setData({ scopes: this.data.scopes.map((each) => ({ ...each, isOn: detail.value.includes(each.scope) })) })
  },

  send() {
    return this.act('send', async () => {
      const { form, role, scopes } = this.data
      const allowed = scopes.filter(({ isOn }) => isOn).map(({ scope }) => scope)
      const body = { name: form.name.trim(), id_number: form.id_number.trim(), relation: ROLES[role], scopes: allowed, days: DAYS }
      await ask('relatives.ask', { body })
      this.setData({ isAsking: false, form: { name: '', id_number: '' }, fields: {} })
      await this.reload()
    })
  },

  agree({ currentTarget }) {
    return this.say('relatives.agree', currentTarget.dataset.id)
  },
  refuse({ currentTarget }) {
    return this.say('relatives.refuse', currentTarget.dataset.id)
  },
  end({ currentTarget }) {
    return this.say('relatives.end', currentTarget.dataset.id)
  },

  confirm({ currentTarget }) {
    this.setData({ confirming: currentTarget.dataset.id })
  },
  confirmByCode({ detail }) {
    return this.say('relatives.byCode', this.data.confirming, detail)
  },

  say(name, relation, body) {
    return this.act(relation, async () => {
      await ask(name, { path: { relation }, body })
      this.setData({ confirming: '' })
      await this.reload()
    })
  },
})
