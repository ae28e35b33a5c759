// A one-time code by SMS: the number, "send", the six digits, and what they are for. `done` carries {request, code}.
//
// `purpose` is the server's: a code for one thing is worth nothing for another. What is typed is kept by nobody.

const { ask } = require('../../core/api')

Component({
  properties: {
    purpose: { type: String, value: '' },
    words: { type: Object, value: { phone: '', send: '', again: '', code: '', sent: '' } },
    action: { type: String, value: '' },
    kind: { type: String, value: 'main' },
    isBusy: { type: Boolean, value: false },
  },
  data: { phone: '', code: '', request: '', error: '', waitS: 0, isSending: false, timer: 0 },
  lifetimes: {
    detached() {
      clearInterval(this.data.timer)
    },
  },
  methods: {
    change({ detail }) {
      this.setData({ [detail.name]: detail.value.trim() })
    },

    async send() {
      this.setData({ isSending: true, error: '' })
      try {
        const { data } = await ask('codes.send', { body: { phone: this.data.phone, purpose: this.data.purpose } })
        this.setData({ request: data.request })
        this.wait(data.retry_after_s)
      } catch (problem) {
        if (problem.status === undefined) throw problem
        this.setData({ error: problem.title })
        this.wait(problem.retryAfterS)
      } finally {
        this.setData({ isSending: false })
      }
    },

    /** Count down to when the number may get the next one. */
    wait(seconds) {
      clearInterval(this.data.timer)
      this.setData({ waitS: Math.ceil(seconds) })
      this.data.timer = setInterval(() => {
        const waitS = Math.max(0, this.data.waitS - 1)
        this.setData({ waitS })
        if (!waitS) clearInterval(this.data.timer)
      }, 1000)
    },

    done() {
      this.triggerEvent('done', { request: this.data.request, code: this.data.code })
    },
  },
})
