// What happened, newest first, like a parcel's way: `steps` are {seq, at, title, note}, `at` in words.

Component({ properties: { steps: { type: Array, value: [] } } })
