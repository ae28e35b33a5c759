// Take everything away as a file, or leave and be forgotten.

const { ask } = require('../../core/api')
const { fresh } = require('../../core/fresh')
const i18n = require('../../core/i18n')
const { page } = require('../../core/page')
const session = require('../../core/session')
const time = require('../../core/time')

/** Bytes into a file of the telephone; its path. */
const write = (name, data) => new Promise((done, refuse) => {
  const filePath = `${wx.env.USER_DATA_PATH}/${name}`
  wx.getFileSystemManager().writeFile({ filePath, data, success: () => done(filePath), fail: ({ errMsg }) => refuse(new Error(errMsg)) })
})

const remainders = (told) => [...told.kept_by_law, ...told.fading].map(({ name, what, days }) => ({ name, what, days: days || 0 }))

page({
  texts: require('./texts'),
  data: { isIn: true, hasPhone: false, isLeaving: false, exported: null, erased: null },

  async load() {
    if (this.data.erased) return {}
    if (!session.isIn()) {
      this.needsLogIn = true
      await this.reload()
      return {}
    }
    const caller = await ask('session.get', { keep: true })
    return { hasPhone: Boolean(caller.data.means.phone), asOf: this.age(caller) }
  },

  /** A ZIP of JSON and CSV: made now, kept on the telephone only. */
  takeAway() {
    return this.act('takeAway', async () => {
      const { data } = await fresh(() => ask('export.get', { raw: 'arraybuffer' }))
      const name = `huimin-${time.date(Date.now())}.zip`
      const path = await write(name, data)
      this.setData({ exported: { path, name, size: Math.max(1, Math.round(data.byteLength / 1024)) } })
    })
  },

  /** To a chat of one's own choice, for example to oneself. */
  share() {
    const { path, name } = this.data.exported
    return this.act('share', () => wx.shareFileMessage({ filePath: path, fileName: name }))
  },

  begin() {
    this.setData({ isLeaving: true })
  },
  stay() {
    this.setData({ isLeaving: false })
  },

  eraseByCode({ detail }) {
    return this.erase({ confirm: 'erase', ...detail })
  },
  eraseNow() {
    return this.erase({ confirm: 'erase' })
  },

  /** Locked when the answer is there; what it names as staying is shown before one goes. */
  async erase(body) {
    const { t } = this.data
    const { confirm } = await wx.showModal({ title: t.sure, content: t.sureWhy, confirmText: t.eraseShort, cancelText: t.common.cancel })
    if (!confirm) return
    await this.act('erase', async () => {
      const { data } = await fresh(() => ask('erasure.ask', { body }))
      session.forget()
      const words = i18n.fill(t.doneBy, { time: time.short(data.done_by) })
      this.setData({ erased: { words, stays: remainders(data) }, exported: null })
    })
  },

  home() {
    wx.reLaunch({ url: '/pages/home/home' })
  },
})
