// One alert as a line that leads to it: its level by word and shape, what it says, where, until when.

Component({
  properties: {
    line: { type: Object, value: {} },
    note: { type: String, value: '' },
    words: { type: Object, value: {} },
  },
})
