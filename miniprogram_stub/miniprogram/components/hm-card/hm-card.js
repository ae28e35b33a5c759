// A white box with a heading of its own.

Component({ properties: { heading: { type: String, value: '' } } })
