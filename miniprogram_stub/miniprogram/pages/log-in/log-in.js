// Log in with WeChat, then go on where one was.

const { logIn } = require('../../core/api')
const outbox = require('../../core/outbox')
const { page } = require('../../core/page')

page({
  texts: require('./texts'),

  /** The code of wx.login is enough; whoever is new becomes a citizen. */
  enter() {
    return this.act('enter', async () => {
      await logIn()
      outbox.flush()
      const back = decodeURIComponent(this.options.back || '') || '/pages/home/home'
      wx.reLaunch({ url: back })
    })
  },
})
