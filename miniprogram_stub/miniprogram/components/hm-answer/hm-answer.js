// One field of a form, drawn by its kind (those of the catalogue). `change` carries {name, value}; money is in fen, what
// cannot be read is passed on as it was written: the server says what is wrong with it.

const TYPES = { whole: 'number', money: 'digit', id_number: 'idcard', phone: 'number', bank_card: 'number' }
const TEXTS = ['text', 'email', 'uscc', ...Object.keys(TYPES)]
const FEW = 6 // so many choices stand in the open; more are a list to pick from

const yuan = (fen) => (fen % 100 ? (fen / 100).toFixed(2) : String(fen / 100))

/** What is written -> what is sent. */
function read(kind, text) {
  const plain = text.trim()
  if (kind === 'whole' && /^\d{1,15}$/.test(plain)) return Number(plain)
  if (kind === 'money' && /^\d{1,12}(\.\d{1,2})?$/.test(plain)) return Math.round(Number(plain) * 100)
  return kind === 'text' ? text : plain
}

function write(kind, value) {
  if (value === null || value === undefined) return ''
  return kind === 'money' && typeof value === 'number' ? yuan(value) : String(value)
}

Component({
  properties: {
    line: { type: Object, value: {} },
    t: { type: Object, value: {} },
    error: { type: String, value: '' },
  },
  data: { shape: '', text: '', choices: [], picked: -1, type: 'text' },
  observers: {
    line(line) {
      const { kind, value, options = [] } = line
      const answers = kind === 'yes_no' ? [{ value: true, label: this.data.t.yes }, { value: false, label: this.data.t.no }] : options
      const chosen = Array.isArray(value) ? value : [value]
      const choices = answers.map((each, index) => ({ ...each, place: String(index), isChosen: chosen.includes(each.value) }))
      this.setData({
        shape: this.shapeOf(kind, choices),
        type: TYPES[kind] || 'text',
        choices,
        picked: choices.findIndex((each) => each.isChosen),
        text: read(kind, this.data.text) === value ? this.data.text : write(kind, value),
      })
    },
  },
  methods: {
    shapeOf(kind, choices) {
      if (TEXTS.includes(kind)) return 'text'
      if (kind === 'yes_no' || kind === 'one_of') return choices.length > FEW ? 'list' : 'one'
      return kind
    },
    tell(value) {
      this.triggerEvent('change', { name: this.data.line.path, value })
    },
    heard({ detail }) {
      this.data.text = detail.value
      this.tell(read(this.data.line.kind, detail.value))
    },
    choose({ detail }) {
      const found = this.data.choices.find((each) => each.place === String(detail.value))
      if (found) this.tell(found.value)
    },
    chooseSome({ detail }) {
      this.tell(this.data.choices.filter((each) => detail.value.includes(each.place)).map((each) => each.value))
    },
    agree({ detail }) {
      this.tell(detail.value.length ? true : null)
    },
    pick({ detail }) {
      this.tell(detail.value)
    },
  },
})
