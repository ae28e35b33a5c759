// A line where one picks: one of `range` (words), or a time of the day with `mode="time"`. `change` carries {name, value}:
// the index in `range`, or "HH:MM".

Component({
  properties: {
    name: { type: String, value: '' },
    label: { type: String, value: '' },
    mode: { type: String, value: 'selector' },
    range: { type: Array, value: [] },
    value: { type: null, value: 0 },
    error: { type: String, value: '' },
    isOff: { type: Boolean, value: false },
  },
  methods: {
    change({ detail }) {
      const value = this.data.mode === 'time' ? detail.value : Number(detail.value)
      this.triggerEvent('change', { name: this.data.name, value })
    },
  },
})
