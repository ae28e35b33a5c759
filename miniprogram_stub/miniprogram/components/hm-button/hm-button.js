// A button: `press` comes once per tap, and not while it is busy. `kind`: plain, main or danger.

Component({
  properties: {
    text: { type: String, value: '' },
    kind: { type: String, value: 'plain' },
    isBusy: { type: Boolean, value: false },
    isOff: { type: Boolean, value: false },
  },
  methods: {
    press() {
      if (!this.data.isBusy && !this.data.isOff) this.triggerEvent('press')
    },
  },
})
