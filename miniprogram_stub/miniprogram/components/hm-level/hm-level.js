// The level of an alert: its word, a shape and the line around it beside the colour, so that nobody needs the colour.

Component({
  properties: {
    level: { type: String, value: 'blue' },
    text: { type: String, value: '' },
  },
})
