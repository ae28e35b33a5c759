// What I want to hear of, by topic, level and channel, and what is sent all the same.

const { ask } = require('../../core/api')
const i18n = require('../../core/i18n')
const optouts = require('../../core/optouts')
const { page } = require('../../core/page')

const { ANY, CHANNELS } = optouts
const COLOURS = ['red', 'orange', 'yellow', 'blue']

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { channels: [], rows: [], open: '', cells: [], always: '' },

  async load() {
    const answer = await ask('subscriptions.get', { keep: true })
    this.topics = answer.data.topics
    return { ...this.shown(answer), asOf: this.age(answer) }
  },

  /** What the page shows of an answer; it is the next change's beginning too. */
  shown({ data, etag }) {
    this.off = data.off.map(({ topic, level, channel }) => ({ topic, level, channel }))
    this.version = etag
    const { t } = this.data
    const channels = CHANNELS.map((channel) => ({ channel, name: t.channels[channel], isOn: !optouts.isOff(this.off, ANY, ANY, channel) }))
    return { channels, rows: this.topics.map((topic) => this.rowOf(topic)), ...this.opened(this.data.open) }
  },

  levelsOf: (topic) => topic.levels.filter((level) => !topic.always_sent.includes(level)),

  wordOf(level) {
    return COLOURS.includes(level) ? i18n.common().levels[level] : this.data.t.levels[level]
  },

  cellsOf(topic) {
    return this.levelsOf(topic).flatMap((level) => CHANNELS.map((channel) => {
      const isLocked = optouts.isOffAbove(this.off, topic.topic, level, channel)
      return {
        key: `${level} ${channel}`,
        name: `${this.wordOf(level)} · ${this.data.t.channels[channel]}`,
        isLocked,
        isOn: !isLocked && !optouts.isOff(this.off, topic.topic, level, channel),
      }
    }))
  },

  rowOf(topic) {
    const cells = this.cellsOf(topic)
    const on = cells.filter((cell) => cell.isOn).length
    const { t } = this.data
    return { topic: topic.topic, name: i18n.pick({ zh: topic.name, en: topic.name_en }), value: on === cells.length ? t.all : on ? t.some : t.none }
  },

  opened(name) {
    const topic = this.topics.find((each) => each.topic === name)
    if (!topic) return { open: '', cells: [], always: '' }
    return { open: name, cells: this.cellsOf(topic), always: topic.always_sent.map((level) => this.wordOf(level)).join(i18n.common().comma) }
  },

  toggleRow({ currentTarget }) {
    const { topic } = currentTarget.dataset
    this.setData(this.opened(topic === this.data.open ? '' : topic))
  },

  save(off) {
    return this.act('save', async () => {
      try {
        this.setData(this.shown(await ask('subscriptions.set', { body: { off }, version: this.version })))
      } catch (problem) {
        await this.reload() // the switch goes back to what holds
        throw problem
      }
    })
  },

  switchChannel({ detail }) {
    return this.save(optouts.switched(this.off, ANY, [ANY], (_, channel) => channel === detail.name, detail.value))
  },

  switchCell({ detail }) {
    const topic = this.topics.find((each) => each.topic === this.data.open)
    return this.save(optouts.switched(this.off, topic.topic, this.levelsOf(topic), (level, channel) => `${level} ${channel}` === detail.name, detail.value))
  },

  switchTopic({ currentTarget }) {
    const topic = this.topics.find((each) => each.topic === this.data.open)
    return this.save(optouts.switched(this.off, topic.topic, this.levelsOf(topic), () => true, currentTarget.dataset.on === 'yes'))
  },
})
