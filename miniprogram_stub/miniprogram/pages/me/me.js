// Who I am here, how I want it, and the way to all that is known of me. Elder mode shows what is needed most.

const { ask } = require('../../core/api')
const elder = require('../../core/elder')
const i18n = require('../../core/i18n')
const session = require('../../core/session')
const { page } = require('../../core/page')

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { me: {}, phone: '', name: '', isAll: false },

  async load() {
    const [answer, caller, realName] = await Promise.all([
      ask('me.get', { keep: true }), ask('session.get', { keep: true }), ask('realName.get', { keep: true }),
    ])
    elder.set(answer.data.is_elder_mode)
    this.dress()
    return {
      me: answer.data,
      version: answer.etag,
      phone: caller.data.means.phone || '',
      name: realName.data.name || '',
      asOf: [answer, caller, realName].map((each) => this.age(each)).find(Boolean) || '',
    }
  },

  /** Each setting is a thing of its own: a tap on another one waits, and is not taken for the same tap again. */
  change(values) {
    return this.act(`change ${Object.keys(values)}`, async () => {
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

  showAll() {
    this.setData({ isAll: true })
  },

  logOut() {
    return this.act('logOut', async () => {
      await ask('session.end')
      session.forget()
      wx.reLaunch({ url: '/pages/home/home' })
    })
  },
})
