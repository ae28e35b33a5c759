// The weather at my time: of which places, when, and only if. Made here, in the tap that also asks for WeChat's leave.

const { ask, newKey } = require('../../core/api')
const grants = require('../../core/grants')
const i18n = require('../../core/i18n')
const { page } = require('../../core/page')
const places = require('../../core/places')
const { optional } = require('../../core/problem')
const store = require('../../core/store')
const time = require('../../core/time')

const DRAFT = 'draft/weather'
const LIMITS = { rain: 60, aqi: 150, below: 5, above: 35, wind: 6, typhoon: 500 } // what is offered first
const KINDS = Object.keys(LIMITS)
const blank = () => ({ places: [], at: '07:30', workingDays: false, conditions: {}, key: newKey() })

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { subscriptions: [], places: [], conditions: [], form: blank(), lacking: [] },

  async load() {
    const [kept, own, leave] = await Promise.all([ask('weather.list', { keep: true }), places.mine(), optional(ask('grants.get'))])
    this.own = own.places
    const form = store.mine.get(DRAFT, null) || { ...blank(), places: own.places.slice(0, 1).map((place) => place.id) }
    return {
      subscriptions: kept.data.subscriptions.map(this.lineOf, this),
      ...this.shown(form),
      lacking: leave ? grants.lacking(leave.data) : [],
      asOf: this.age(kept),
    }
  },

  lineOf(each) {
    const { t } = this.data
    const names = this.own.filter((place) => each.places.includes(place.id)).map((place) => place.name).join(i18n.common().comma)
    const only = each.only_if.map(({ what, limit }) => i18n.fill(t.holds[what], { limit })).join(t.or)
    return {
      id: each.id,
      title: `${each.at} ${names}`,
      note: [each.working_days_only ? t.workingDays : t.everyDay, only && `${t.onlyIf} ${only}`].filter(Boolean).join(' · '),
      next: each.next_at ? `${t.next} ${time.short(each.next_at)}` : '',
    }
  },

  shown(form) {
    const { t } = this.data
    return {
      form,
      places: this.own.map((place) => ({ ...place, isOn: form.places.includes(place.id) })),
      conditions: KINDS.map((what) => ({ what, name: t.kinds[what], isOn: what in form.conditions, limit: String(what in form.conditions ? form.conditions[what] : LIMITS[what]) })),
    }
  },

  keep(change) {
    const form = { ...this.data.form, ...change }
    store.mine.set(DRAFT, form)
    this.setData(this.shown(form))
  },

  switchPlace({ detail }) {
    const others = this.data.form.places.filter((id) => id !== detail.name)
    this.keep({ places: detail.value ? [...others, detail.name] : others })
  },

  pickTime({ detail }) {
    this.keep({ at: detail.value })
  },

  switchDays({ detail }) {
    this.keep({ workingDays: detail.value })
  },

  switchCondition({ detail }) {
    const { [detail.name]: _, ...others } = this.data.form.conditions
    this.keep({ conditions: detail.value ? { ...others, [detail.name]: LIMITS[detail.name] } : others })
  },

  writeLimit({ detail }) {
    this.keep({ conditions: { ...this.data.form.conditions, [detail.name]: detail.value } })
  },

  add() {
    const { form, lacking } = this.data
    const conditions = Object.entries(form.conditions).map(([what, limit]) => ({ what, limit: Number(limit) }))
    const body = { places: form.places, at: form.at, working_days_only: form.workingDays, only_if: conditions }
    return this.act('add', async () => {
      await optional(grants.ask(lacking)) // first, while this is still the tap
      await ask('weather.add', { body, key: form.key })
      store.mine.remove(DRAFT)
      await this.reload()
    })
  },

  remove({ currentTarget }) {
    return this.act('remove', async () => {
      await ask('weather.remove', { path: { weather_subscription: currentTarget.dataset.id } })
      await this.reload()
    })
  },
})
