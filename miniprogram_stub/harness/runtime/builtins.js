// WeChat's own components as elements of this document: properties, events and names as its documentation has them.
//
// A definition is `{properties, attached(host, self), changed: {property: (value, host, self)}}`; `self.tell(name, detail)`
// triggers the event. What has a value puts `control` on its host: a form asks for it.

const { PLAIN, ALIVE } = require('./tags.js')
const { tap } = require('./engine.js')
const controls = require('./controls.js')
const boxes = require('./boxes.js')

// What any component may carry: WeChat's words of accessibility, and `hidden`.
const ARIA = [
  'role', 'label', 'hidden', 'live', 'checked', 'selected', 'disabled', 'expanded', 'labelledby', 'describedby', 'busy',
  'invalid', 'level', 'current', 'controls', 'valuenow', 'valuemin', 'valuemax', 'valuetext', 'modal', 'required',
]
const aria = (name) => `aria${name[0].toUpperCase()}${name.slice(1)}`

function setAria(host, name, value) {
  const attribute = name === 'role' ? 'aria-role' : `aria-${name}`
  const element = host.control?.inner && name !== 'role' ? host.control.inner : host
  if (value === '' || value === undefined || value === null) element.removeAttribute(attribute)
  else element.setAttribute(attribute, String(value))
}

function define(space, tag, { properties = {}, attached, changed = {}, detached }) {
  const observed = {
    ...Object.fromEntries(ARIA.map((name) => [aria(name), (value, host) => setAria(host, name, value)])),
    hidden: (value, host) => host.toggleAttribute('hidden', value === true),
    ...changed,
  }
  const common = Object.fromEntries(ARIA.map((name) => [aria(name), { type: null, value: '' }]))
  const all = { ...common, hidden: { type: null, value: '' }, ...properties }
  const current = new WeakMap()
  const self = (component) => ({
    component,
    get data() { return component.data },
    set: (values) => component.setData(values),
    tell: (name, detail = {}, options = {}) => component.triggerEvent(name, detail, options),
    own: current,
  })
  const definition = space.defineComponent({
    is: tag,
    options: { writeFieldsToNode: false },
    properties: Object.fromEntries(Object.entries(all).map(([name, given]) => [name, {
      type: given.type,
      value: given.value,
      observer(value) {
        const host = this.$$
        if (host?.isAlive) observed[name]?.(value, host, self(this))
      },
    }])),
    lifetimes: {
      attached() {
        const host = this.$$
        attached?.(host, self(this))
        host.isAlive = true
        for (const [name, change] of Object.entries(observed)) {
          if (this.data[name] !== '' && this.data[name] !== undefined) change(this.data[name], host, self(this))
        }
      },
      detached() {
        detached?.(this.$$, self(this))
      },
    },
  })
  space.setGlobalUsingComponent(tag, definition)
}

function defineBuiltIns(space) {
  for (const tag of PLAIN) space.setGlobalUsingComponent(tag, tag)
  const all = { ...controls.definitions(tap), ...boxes.definitions(tap) }
  for (const tag of ALIVE) define(space, tag, all[tag] ?? {})
}

module.exports = { defineBuiltIns }
