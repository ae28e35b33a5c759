// What my data may be used for: each purpose with its text, yes or no, and no holds at once.

const { ask } = require('../../core/api')
const i18n = require('../../core/i18n')
const { page } = require('../../core/page')
const time = require('../../core/time')

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { consents: [] },

  async load() {
    const answer = await ask('consents.list', { keep: true })
    const { t } = this.data
    return {
      consents: answer.data.consents.map((each) => ({
        purpose: each.purpose,
        version: each.version,
        title: each.title,
        text: each.text,
        isGiven: each.is_given,
        isSensitive: each.is_sensitive,
        standing: each.is_outdated ? t.outdated : each.said_at
          ? i18n.fill(each.is_given ? t.given : t.withdrawn, { time: time.short(each.said_at) }) : t.never,
      })),
      asOf: this.age(answer),
    }
  },

  agree({ currentTarget }) {
    const { purpose, version } = currentTarget.dataset
    return this.say(purpose, () => ask('consents.agree', { path: { purpose }, body: { version } }))
  },

  withdraw({ currentTarget }) {
    const { purpose } = currentTarget.dataset
    return this.say(purpose, () => ask('consents.revoke', { path: { purpose } }))
  },

  say(purpose, work) {
    return this.act(purpose, async () => {
      await work()
      await this.reload()
    })
  },
})
