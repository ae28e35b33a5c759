// Whether WeChat would take what we send, and the button to allow it: when something lacks, or only few messages are left.
// `view` is what /v1/me/grants says; null: not known, and nothing is shown. `change` comes when it was asked.

const grants = require('../../core/grants')
const i18n = require('../../core/i18n')
const { Problem } = require('../../core/problem')

Component({
  properties: { view: { type: null, value: null }, isTester: { type: Boolean, value: false } },
  data: { t: {}, lacking: [], low: [], hint: '', problem: '', isBusy: false },
  observers: {
    'view, isTester'(view, isTester) {
      const t = i18n.common().grants
      const low = view ? grants.low(view) : []
      const hint = low.map(({ template, left }) => i18n.fill(t.left, { name: t.templates[template] || template, count: left })).join(' ')
      this.setData({ t, hint, low: low.map((each) => each.template), lacking: view ? grants.lacking(view, isTester) : [] })
    },
  },
  methods: {
    press() {
      if (!this.data.isBusy) this.ask(this.data.lacking.length ? this.data.lacking : this.data.low)
    },
    async ask(templates) {
      this.setData({ isBusy: true, problem: '' })
      try {
        await grants.ask(templates)
      } catch (problem) {
        if (!(problem instanceof Problem)) throw problem
        this.setData({ problem: `${problem.title} ${problem.detail}` })
      } finally {
        this.setData({ isBusy: false })
      }
      this.triggerEvent('change')
    },
  },
})
