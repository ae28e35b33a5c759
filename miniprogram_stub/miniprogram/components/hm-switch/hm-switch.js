// A line that is on or off. `change` carries {name, value}.

Component({
  properties: {
    name: { type: String, value: '' },
    label: { type: String, value: '' },
    note: { type: String, value: '' },
    isOn: { type: Boolean, value: false },
    isOff: { type: Boolean, value: false },
  },
  methods: {
    change({ detail }) {
      this.triggerEvent('change', { name: this.data.name, value: detail.value })
    },
  },
})
