// Public notices that I follow, by topic and area; whoever follows one more is asked for WeChat's leave in that tap.

const { ask } = require('../../core/api')
const grants = require('../../core/grants')
const i18n = require('../../core/i18n')
const { page } = require('../../core/page')
const places = require('../../core/places')
const { optional } = require('../../core/problem')

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { follows: [], topics: [], topicAt: 0, areas: [], areaAt: 0, division: '', lacking: [], isOther: false },

  async load() {
    const [kept, known, own, leave] = await Promise.all([
      ask('follows.list', { keep: true }),
      ask('bulletins.topics', { keep: true }),
      places.mine(),
      optional(ask('grants.get')),
    ])
    this.topics = known.data.topics
    this.codes = own.places.map((place) => place.code)
    const groups = Object.fromEntries(known.data.groups.map((group) => [group.id, i18n.pick(group)]))
    return {
      ...this.followed(kept),
      topics: this.topics.map((topic) => `${groups[topic.group]} · ${i18n.pick(topic)}`),
      areas: [...own.places.map((place) => `${place.name} (${place.where})`), this.data.t.otherArea],
      isOther: this.data.areaAt >= this.codes.length,
      lacking: leave ? grants.lacking(leave.data) : [],
      asOf: this.age(kept),
    }
  },

  followed({ data }) {
    const nameOf = (id) => i18n.pick(this.topics.find((topic) => topic.id === id) || { zh: id, en: id })
    return { follows: data.follows.map((each) => ({ id: each.id, name: nameOf(each.topic), area: each.division_name })) }
  },

  pickTopic({ detail }) {
    this.setData({ topicAt: detail.value })
  },

  pickArea({ detail }) {
    this.setData({ areaAt: detail.value, isOther: detail.value >= this.codes.length })
  },

  pickDivision({ detail }) {
    this.setData({ division: detail.value })
  },

  follow() {
    const { lacking, topicAt, areaAt, division } = this.data
    const body = { topic: this.topics[topicAt].id, division: this.codes[areaAt] || division }
    return this.act('follow', async () => {
      await optional(grants.ask(lacking)) // first, while this is still the tap
      this.setData({ ...this.followed(await ask('follows.add', { body })), lacking: [] })
    })
  },

  remove({ currentTarget }) {
    return this.act('remove', async () => {
      await ask('follows.remove', { path: { follow: currentTarget.dataset.id } })
      await this.reload()
    })
  },
})
