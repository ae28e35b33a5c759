// How I log in: telephone, real name, and where else I am logged in.

const { ask } = require('../../core/api')
const i18n = require('../../core/i18n')
const { fresh } = require('../../core/fresh')
const { page } = require('../../core/page')
const session = require('../../core/session')
const time = require('../../core/time')

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { means: null, logIns: [], realName: null, isBinding: false, form: { name: '', id_number: '' } },

  async load() {
    const [caller, logIns, realName] = await Promise.all([
      ask('session.get', { keep: true }), ask('session.list', { keep: true }), ask('realName.get', { keep: true }),
    ])
    const { t } = this.data
    return {
      means: caller.data.means,
      realName: realName.data,
      logIns: logIns.data.log_ins.map(({ id, label, client, is_this: isThis, seen_at: seenAt }) => ({
        id, isThis, title: label || t.clients[client] || client, note: isThis ? t.thisOne : i18n.fill(t.seen, { time: time.short(seenAt) }),
      })),
      asOf: this.age(caller),
    }
  },

  begin() {
    this.setData({ isBinding: true })
  },

  /** By the code that came by SMS. */
  bindByCode({ detail }) {
    return this.bind('phone.byCode', detail)
  },

  /** By the number that WeChat knows: `code` is missing if the person said no. */
  bindByWeChat({ detail }) {
    return detail.code ? this.bind('phone.byWeChat', { code: detail.code }) : undefined
  },

  bind(name, body) {
    return this.act('bind', async () => {
      await fresh(() => ask(name, { body }))
      this.setData({ isBinding: false })
      await this.reload()
    })
  },

  async removePhone() {
    const { t } = this.data
    const { confirm } = await wx.showModal({ title: t.remove, content: t.removeWhy, confirmText: t.common.ok, cancelText: t.common.cancel })
    if (!confirm) return
    await this.act('remove', async () => {
      await fresh(() => ask('phone.remove'))
      await this.reload()
    })
  },

  change({ detail }) {
    this.setData({ [`form.${detail.name}`]: detail.value })
  },

  verify() {
    return this.act('verify', async () => {
      const { name, id_number } = this.data.form
      await ask('realName.verify', { body: { name: name.trim(), id_number: id_number.trim() } })
      this.setData({ form: { name: '', id_number: '' }, fields: {} })
      await this.reload()
    })
  },

  endOne({ currentTarget }) {
    return this.act(currentTarget.dataset.id, async () => {
      await ask('session.endOne', { path: { log_in: currentTarget.dataset.id } })
      await this.reload()
    })
  },

  async endAll() {
    const { t } = this.data
    const { confirm } = await wx.showModal({ title: t.endAll, content: t.endAllWhy, confirmText: t.common.ok, cancelText: t.common.cancel })
    if (!confirm) return
    await this.act('endAll', async () => {
      await ask('session.endAll')
      session.forget()
      wx.reLaunch({ url: '/pages/home/home' })
    })
  },
})
