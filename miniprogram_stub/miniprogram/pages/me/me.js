// Who I am here, how I want it, and what is known of me.

const { ask } = require('../../core/api')
const elder = require('../../core/elder')
const i18n = require('../../core/i18n')
const session = require('../../core/session')
const { page } = require('../../core/page')

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { me: {} },

  async load() {
    const answer = await ask('me.get', { keep: true })
    elder.set(answer.data.is_elder_mode)
    this.dress()
    return { me: answer.data, version: answer.etag, asOf: this.age(answer) }
  },

  change(values) {
    return this.act('change', async () => {
      await ask('me.change', { body: values, version: this.data.version })
      await this.reload()
    })
  },

  changeLanguage() {
    const language = i18n.language() === 'zh' ? 'en' : 'zh'
    i18n.choose(language)
    this.dress()
    return this.change({ language })
  },

  changeElder() {
    return this.change({ is_elder_mode: !elder.isOn() })
  },

  logOut() {
    return this.act('logOut', async () => {
      await ask('session.end')
      session.forget()
      wx.reLaunch({ url: '/pages/home/home' })
    })
  },
})
