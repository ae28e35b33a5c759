// A line of a list. With `url` it leads to that page; without, a tap is told as `press`.

Component({
  properties: {
    title: { type: String, value: '' },
    note: { type: String, value: '' },
    value: { type: String, value: '' },
    url: { type: String, value: '' },
    isNew: { type: Boolean, value: false },
  },
  methods: {
    press() {
      if (this.data.url) wx.navigateTo({ url: this.data.url })
      else this.triggerEvent('press')
    },
  },
})
