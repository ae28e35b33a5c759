// The built-in components that a person fills in or presses.

const text = (value = '') => ({ type: String, value })
const flag = (value = false) => ({ type: Boolean, value })
const number = (value = 0) => ({ type: Number, value })
const any = (value = '') => ({ type: null, value })

const make = (tag, properties = {}) => Object.assign(document.createElement(tag), properties)

/** A control inside its host; events of the inner one stay inside, or the engine would tell them twice. */
function inside(host, inner, name, value, reset) {
  for (const event of ['input', 'change', 'focus', 'blur', 'submit']) inner.addEventListener(event, (e) => e.stopPropagation())
  host.append(inner)
  host.control = { inner, name, value, reset }
}

const KEYBOARDS = { number: 'numeric', digit: 'decimal', idcard: 'text', text: 'text', tel: 'tel', nickname: 'text' }

function field(tag) {
  return {
    properties: {
      value: any(), type: text('text'), password: flag(), placeholder: text(), disabled: flag(), maxlength: number(140),
      name: text(), focus: flag(), confirmType: text('done'), autoHeight: flag(), placeholderClass: text(),
      placeholderStyle: text(), cursorSpacing: number(), adjustPosition: flag(true), showConfirmBar: flag(true), fixed: flag(),
    },
    attached(host, self) {
      const inner = make(tag)
      inside(host, inner, () => self.data.name, () => inner.value, () => { inner.value = '' })
      inner.addEventListener('input', () => {
        self.set({ value: inner.value })
        self.tell('input', { value: inner.value, cursor: inner.selectionStart })
      })
      inner.addEventListener('focus', () => self.tell('focus', { value: inner.value }))
      inner.addEventListener('blur', () => self.tell('blur', { value: inner.value }))
      inner.addEventListener('keydown', (event) => {
        if (event.key !== 'Enter' || tag === 'textarea') return
        event.preventDefault()
        self.tell('confirm', { value: inner.value })
      })
    },
    changed: {
      value: (value, host) => {
        const { inner } = host.control
        if (inner.value !== String(value ?? '')) inner.value = value ?? ''
      },
      type: (value, host) => { host.control.inner.inputMode = KEYBOARDS[value] ?? 'text' },
      password: (value, host) => { if (tag === 'input') host.control.inner.type = value ? 'password' : 'text' },
      placeholder: (value, host) => { host.control.inner.placeholder = value },
      disabled: (value, host) => { host.control.inner.disabled = value },
      maxlength: (value, host) => { if (value >= 0) host.control.inner.maxLength = value },
      focus: (value, host) => { if (value) host.control.inner.focus() },
    },
  }
}

function form() {
  const controls = (host) => [...host.querySelectorAll('*')].filter(({ control }) => control?.name())
  return {
    properties: { reportSubmit: flag() },
    attached(host, self) {
      host.submit = () => self.tell('submit', { value: Object.fromEntries(controls(host).map(({ control }) => [control.name(), control.value()])) })
      host.reset = () => {
        controls(host).forEach(({ control }) => control.reset?.())
        self.tell('reset')
      }
    },
  }
}

function pressed(host, self) {
  const { formType, openType } = self.data
  if (formType === 'submit') host.closest('wx-form')?.submit()
  else if (formType === 'reset') host.closest('wx-form')?.reset()
  if (openType === 'share') window.wx.__share()
  if (openType === 'getPhoneNumber') window.wx.__getPhoneNumber().then((detail) => self.tell('getphonenumber', detail))
}

const button = {
  properties: {
    type: text('default'), size: text('default'), plain: flag(), disabled: flag(), loading: flag(), formType: text(),
    openType: text(), hoverClass: text('button-hover'), hoverStayTime: number(), lang: text('zh_CN'),
  },
  attached(host, self) {
    host.setAttribute('role', 'button')
    host.tabIndex = 0
    // In the capture phase: what is disabled hears no tap at all.
    self.component.addListener('tap', (event) => {
      if (!self.data.disabled && !self.data.loading) return pressed(host, self)
      event.stopPropagation()
      return undefined
    }, { useCapture: true })
  },
  changed: {
    type: (value, host) => host.setAttribute('type', value),
    size: (value, host) => host.setAttribute('size', value),
    plain: (value, host) => host.toggleAttribute('plain', value),
    loading: (value, host) => {
      host.toggleAttribute('loading', value)
      host.setAttribute('aria-busy', String(value))
    },
    disabled: (value, host) => {
      host.toggleAttribute('disabled', value)
      host.setAttribute('aria-disabled', String(value))
      host.tabIndex = value ? -1 : 0
    },
  },
}

/** switch, checkbox and radio: an HTML one; checkboxes and radios tell their group, which tells the page. */
function toggle(type) {
  return {
    properties: { checked: flag(), disabled: flag(), value: any(), name: text(), color: text(), type: text() },
    attached(host, self) {
      const inner = make('input', { type: type === 'radio' ? 'radio' : 'checkbox' })
      if (type === 'switch') inner.setAttribute('role', 'switch')
      const value = () => (type === 'switch' ? inner.checked : self.data.value)
      inside(host, inner, () => (type === 'switch' ? self.data.name : ''), value, () => { inner.checked = false })
      inner.addEventListener('change', () => {
        self.set({ checked: inner.checked })
        if (type === 'switch') self.tell('change', { value: inner.checked })
        else host.closest('wx-checkbox-group, wx-radio-group')?.changed(host)
      })
    },
    changed: {
      checked: (value, host) => { host.control.inner.checked = value },
      disabled: (value, host) => { host.control.inner.disabled = value },
    },
  }
}

function group(tag) {
  const members = (host) => [...host.querySelectorAll(`wx-${tag}`)]
  const values = (host) => members(host).filter(({ control }) => control.inner.checked).map(({ control }) => control.value())
  const value = (host) => (tag === 'radio' ? (values(host)[0] ?? '') : values(host))
  return {
    properties: { name: text() },
    attached(host, self) {
      host.setAttribute('role', tag === 'radio' ? 'radiogroup' : 'group')
      host.control = { name: () => self.data.name, value: () => value(host) }
      host.changed = (changed) => {
        if (tag === 'radio') members(host).forEach((each) => { if (each !== changed) each.control.inner.checked = false })
        self.tell('change', { value: value(host) })
      }
    },
  }
}

const words = (range, key) => (range ?? []).map((each) => (key ? each[key] : each))

/** picker: the box above its children is an HTML one, so that keys and screen readers find it. */
const picker = {
  properties: {
    mode: text('selector'), range: any([]), rangeKey: text(), value: any(0), start: text(), end: text(), fields: text('day'),
    disabled: flag(), headerText: text(), name: text(),
  },
  attached(host, self) {
    const isChoice = !['date', 'time'].includes(self.data.mode)
    const inner = isChoice ? make('select') : make('input', { type: self.data.fields === 'month' ? 'month' : self.data.mode })
    inside(host, inner, () => self.data.name, () => self.data.value)
    inner.addEventListener('change', () => {
      const value = isChoice ? Number(inner.value) : inner.value
      self.set({ value })
      self.tell('change', { value: isChoice ? value : inner.value })
    })
    host.draw = () => {
      if (isChoice) {
        const options = words(self.data.range, self.data.rangeKey).map((label, index) => make('option', { value: index, textContent: label }))
        inner.replaceChildren(...options)
      } else Object.assign(inner, { min: self.data.start, max: self.data.end })
      inner.value = self.data.value
      inner.disabled = self.data.disabled
    }
    host.draw()
  },
  changed: Object.fromEntries(['range', 'value', 'start', 'end', 'disabled'].map((name) => [name, (_value, host) => host.draw()])),
}

const slider = {
  properties: { min: number(0), max: number(100), step: number(1), value: number(0), disabled: flag(), showValue: flag(), name: text() },
  attached(host, self) {
    const { min, max, step, value } = self.data
    const inner = make('input', { type: 'range', min, max, step, value })
    inside(host, inner, () => self.data.name, () => Number(inner.value))
    inner.addEventListener('change', () => {
      self.set({ value: Number(inner.value) })
      self.tell('change', { value: Number(inner.value) })
    })
  },
  changed: { value: (value, host) => { host.control.inner.value = value } },
}

/** label: a tap anywhere in it is one on its control. */
const label = (tap) => ({
  properties: { for: text() },
  attached(host, self) {
    host.addEventListener('click', (event) => {
      if (event.target.closest('input, select, textarea, wx-button')) return
      const named = self.data.for && document.getElementById(self.data.for)
      const found = named || host.querySelector('wx-checkbox, wx-radio, wx-switch, wx-input, wx-button')
      if (found?.control) found.control.inner.click()
      else if (found) tap(found)
    })
  },
})

const definitions = (tap) => ({
  input: field('input'),
  textarea: field('textarea'),
  form: form(),
  button,
  switch: toggle('switch'),
  checkbox: toggle('checkbox'),
  radio: toggle('radio'),
  'checkbox-group': group('checkbox'),
  'radio-group': group('radio'),
  picker,
  slider,
  label: label(tap),
})

module.exports = { definitions, text, flag, number, any, make }
