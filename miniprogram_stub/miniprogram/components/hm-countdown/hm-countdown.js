// What is left until a moment, second by second; `over` comes once when it is there.

const time = require('../../core/time')

Component({
  properties: {
    until: { type: String, value: '' },
    words: { type: Object, value: {} },
  },
  data: { text: '' },
  observers: {
    until() {
      this.start()
    },
  },
  lifetimes: {
    attached() {
      this.start()
    },
    detached() {
      clearInterval(this.timer)
    },
  },
  methods: {
    start() {
      clearInterval(this.timer)
      if (!this.data.until) return
      this.timer = setInterval(() => this.tick(), 1000)
      this.tick()
    },
    tick() {
      const left = time.left(Date.parse(this.data.until) - Date.now())
      const { words } = this.data
      if (left) {
        const parts = ['d', 'h', 'm', 's'].filter((part) => left[part] || part === 's')
        this.setData({ text: parts.map((part) => `${left[part]}${words[part] || part}`).join(' ') })
        return
      }
      clearInterval(this.timer)
      this.setData({ text: words.over || '0' })
      this.triggerEvent('over')
    },
  },
})
