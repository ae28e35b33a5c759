// Places, topics, quiet hours, and leave for WeChat to send.

const { ask } = require('../../core/api')
const { page } = require('../../core/page')

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { places: [] },

  async load() {
    const answer = await ask('places.list', { keep: true })
    const isZh = this.data.language === 'zh'
    const places = answer.data.places.map(({ id, name, label, division }) => ({ id, name: name || label, division: isZh ? division.name : division.name_en }))
    return { places, asOf: this.age(answer) }
  },
})
