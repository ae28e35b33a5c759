// The frame of every page: what it shows while loading, when it failed, and without a network; large type in elder mode.

Component({
  options: { multipleSlots: false },
  properties: {
    state: { type: String, value: 'ready' },
    problem: { type: null, value: null },
    isElder: { type: Boolean, value: false },
    asOf: { type: String, value: '' },
    queued: { type: Number, value: 0 },
    empty: { type: String, value: '' },
    t: { type: Object, value: {} },
  },
  methods: {
    retry() {
      this.triggerEvent('retry')
    },
  },
})
