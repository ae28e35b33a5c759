// What I am told of: my places, topics, quiet hours, notices I follow, the weather at my time, and leave for WeChat.

const { ask } = require('../../core/api')
const { page } = require('../../core/page')
const places = require('../../core/places')
const { optional } = require('../../core/problem')

const QUIET = { begins: '22:00', ends: '07:00' } // what is offered first

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { places: [], grants: null, isTester: false, isQuiet: false, quiet: QUIET, version: '' },

  async load() {
    const [own, me, grants] = await Promise.all([places.mine(), ask('me.get', { keep: true }), optional(ask('grants.get', { keep: true }))])
    const { quiet_hours: quiet } = me.data
    return {
      places: own.places,
      isTester: me.data.is_tester,
      isQuiet: Boolean(quiet),
      quiet: quiet || this.data.quiet,
      version: me.etag,
      grants: grants && !grants.isOld ? grants.data : null,
      asOf: this.age(own.isOld ? own : me),
    }
  },

  setQuiet(quiet) {
    return this.act('quiet', async () => {
      const answer = await ask('me.change', { body: { quiet_hours: quiet }, version: this.data.version })
      this.setData({ version: answer.etag, isQuiet: Boolean(quiet), quiet: quiet || this.data.quiet })
    })
  },

  switchQuiet({ detail }) {
    return this.setQuiet(detail.value ? this.data.quiet : null)
  },

  changeQuiet({ detail }) {
    return this.setQuiet({ ...this.data.quiet, [detail.name]: detail.value })
  },
})
