// What happened, newest first, like a parcel's way: `steps` are {at, title, note}, `at` in words.

Component({ properties: { steps: { type: Array, value: [] } } })
