// A division of the city, level by level: city, district, street, community. `change` carries {value}: the code of the
// lowest one that was chosen.

const { ask } = require('../../core/api')
const i18n = require('../../core/i18n')
const problems = require('../../core/problem')

const below = async (parent) => (await ask('divisions.find', { query: { parent }, keep: true })).data.divisions
const nameOf = (each) => (i18n.language() === 'en' && each.name_en ? each.name_en : each.name)
const levelOf = (choices, code) => ({
  choices: choices.map((each) => ({ code: each.code, name: nameOf(each), more: each.has_children })),
  picked: choices.findIndex((each) => each.code === code),
})

Component({
  properties: {
    code: { type: String, value: '' },
    label: { type: String, value: '' },
    words: { type: Object, value: {} },
  },
  data: { levels: [], known: null, problem: '' },
  observers: {
    code(code) {
      if (code !== this.data.known) this.show(code)
    },
  },
  methods: {
    /** All levels down to `code`, and the one below it. */
    async show(code) {
      this.data.known = code
      try {
        const chosen = code ? (await ask('divisions.find', { query: { code }, keep: true })).data.divisions : []
        const lists = await Promise.all([below(), ...chosen.filter((each) => each.has_children).map((each) => below(each.code))])
        if (this.data.known !== code) return
        const levels = lists.map((list, at) => levelOf(list, chosen[at] ? chosen[at].code : ''))
        if (!code && levels[0].choices.length === 1) await this.show(levels[0].choices[0].code)
        else this.setData({ levels: levels.map((each, at) => ({ ...each, at })), problem: '' })
      } catch (problem) {
        if (!(problem instanceof problems.Problem)) throw problem
        this.setData({ problem: problem.title })
      }
    },
    pick({ currentTarget, detail }) {
      const chosen = this.data.levels[currentTarget.dataset.at].choices[detail.value]
      if (!chosen) return
      this.show(chosen.code)
      this.triggerEvent('change', { value: chosen.code })
    },
  },
})
