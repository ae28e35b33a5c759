// WeChat's component engine on this document: how its elements become HTML, and how what is done becomes its events.

const adapter = require('glass-easel-miniprogram-adapter')
const { BUILT_IN } = require('./tags.js')

const ge = adapter.glassEasel
const RPX = /(-?(?:\d+\.)?\d+)rpx\b/g
const ROLES_TO_PRESS = new Set(['button', 'link', 'tab', 'checkbox', 'radio', 'switch', 'menuitem', 'option'])
const HEADING = 'heading'

/** An attribute as HTML knows it. WeChat's role is `aria-role`. */
function setAttribute(element, plain, name, value) {
  if (name === 'style') element.style.cssText = value.replaceAll(RPX, 'calc(var(--rpx) * $1)')
  else if (name === 'aria-role') {
    plain('role', value)
    if (value === HEADING && !element.hasAttribute('aria-level')) plain('aria-level', '2')
    if (ROLES_TO_PRESS.has(value)) element.tabIndex = 0
  } else if (name.startsWith('aria-')) plain(name, value || 'true') // the engine writes true as ""
  else if (/^[a-z][a-z0-9-]*$/.test(name)) plain(name, value)
}

function createElement(tag) {
  const element = document.createElement(BUILT_IN.has(tag) ? `wx-${tag}` : tag)
  const plain = element.setAttribute.bind(element)
  element.setAttribute = (name, value) => setAttribute(element, plain, name, String(value))
  // The engine's ids begin with one of their component; those of a page are known by their own.
  Object.defineProperty(element, 'id', { get: () => element.getAttribute('id') ?? '', set: (id) => plain('id', id.replace(/^.*--/, '')) })
  return element
}

/** The engine's context. Of version 0.12: events go through `Event.dispatchEvent`. */
function context() {
  const made = new ge.CurrentWindowBackendContext()
  made.document = {
    createElement,
    createTextNode: (text) => document.createTextNode(text),
    createDocumentFragment: () => document.createDocumentFragment(),
  }
  made.onEvent((target, type, detail, options) => {
    const event = new ge.Event(type, detail, options)
    ge.Event.dispatchEvent(target, event)
    return event.getEventBubbleStatus()
  })
  return made
}

/** A tap on an element, as by a finger: for keys and for controls that tap something else. */
function tap(element) {
  const { left, top, width, height } = element.getBoundingClientRect()
  const event = new ge.Event('tap', { x: left + width / 2, y: top + height / 2 }, { bubbles: true, composed: true })
  let at = element
  while (at && !at.__wxElement) at = at.parentNode
  if (at) ge.Event.dispatchEvent(at.__wxElement, event)
}

/** Enter and space press what has a role to press; after a touch the click that browsers invent is dropped. */
function listen(pages) {
  document.addEventListener('keydown', (event) => {
    const { target } = event
    const isPress = event.key === 'Enter' || event.key === ' '
    if (!isPress || !target.closest?.('#pages') || !ROLES_TO_PRESS.has(target.getAttribute('role'))) return
    event.preventDefault()
    tap(target)
  })
  pages.addEventListener('touchend', (event) => {
    if (event.cancelable && !event.target.closest('input, textarea, select, label, a')) event.preventDefault()
  })
}

module.exports = { adapter, ge, context, tap, listen }
