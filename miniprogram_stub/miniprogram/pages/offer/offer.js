// One offer: what it is, why me, and one tap to take it. Declining is as easy.

const { ask } = require('../../core/api')
const i18n = require('../../core/i18n')
const offers = require('../../core/offers')
const { page } = require('../../core/page')

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { offer: null, filed: '' },

  async load({ id }) {
    if (!id) return { offer: null, state: 'empty' }
    const answer = await ask('offers.get', { path: { offer: id }, keep: true })
    return { offer: this.seen(answer.data), asOf: this.age(answer) }
  },

  seen(offer) {
    const line = offers.lineOf(offer, i18n.common().offerStates)
    return { ...line, item: offer.item, isOneTap: offer.is_one_tap, application: offer.application }
  },

  /** What is filed has a number; what lacks something is a draft, and one goes on there. */
  accept() {
    return this.act('accept', async () => {
      const { data } = await ask('offers.accept', { path: { offer: this.data.offer.id }, body: { form: {} } })
      this.setData({ offer: this.seen(data.offer) })
      if (data.is_filed) this.setData({ filed: i18n.fill(this.data.t.filed, { number: data.application.number }) })
      else wx.navigateTo({ url: `/pages/application/application?id=${data.application.id}` })
    })
  },

  decline() {
    return this.act('decline', async () => {
      const { data } = await ask('offers.decline', { path: { offer: this.data.offer.id } })
      this.setData({ offer: this.seen(data) })
    })
  },
})
