// A line to fill in, with its label and what is wrong with it. `change` carries {name, value} after every key.

Component({
  properties: {
    name: { type: String, value: '' },
    label: { type: String, value: '' },
    value: { type: String, value: '' },
    type: { type: String, value: 'text' },
    placeholder: { type: String, value: '' },
    error: { type: String, value: '' },
    help: { type: String, value: '' },
    maxlength: { type: Number, value: 140 },
    isOff: { type: Boolean, value: false },
  },
  methods: {
    change(event) {
      this.triggerEvent('change', { name: this.data.name, value: event.detail.value })
    },
    confirm(event) {
      this.triggerEvent('confirm', { name: this.data.name, value: event.detail.value })
    },
  },
})
