// What is left until a moment, second by second; `over` comes once when it is there. `server-at` is the server's time of
// the answer that named the moment: telephones' clocks are wrong.

const time = require('../../core/time')

Component({
  properties: {
    until: { type: String, value: '' },
    serverAt: { type: String, value: '' },
    words: { type: Object, value: {} },
  },
  data: { text: '', timer: 0, aheadMs: 0 },
  observers: {
    'until, serverAt'() {
      this.start()
    },
  },
  lifetimes: {
    attached() {
      this.start()
    },
    detached() {
      clearInterval(this.data.timer)
    },
  },
  methods: {
    start() {
      clearInterval(this.data.timer)
      if (!this.data.until) return
      this.data.aheadMs = this.data.serverAt ? Date.parse(this.data.serverAt) - Date.now() : 0
      this.data.timer = setInterval(() => this.tick(), 1000)
      this.tick()
    },
    tick() {
      const left = time.left(Date.parse(this.data.until) - Date.now() - this.data.aheadMs)
      const { words } = this.data
      if (left) {
        const parts = ['d', 'h', 'm', 's'].filter((part) => left[part] || part === 's')
        this.setData({ text: parts.map((part) => `${left[part]}${words[part] || part}`).join(' ') })
        return
      }
      clearInterval(this.data.timer)
      this.setData({ text: words.over || '0' })
      this.triggerEvent('over')
    },
  },
})
