// What WeChat draws around a page: the bar with its title, the tabs, and whatever lies above: dialogs, toasts, sheets.

let wx
let app

const make = (tag, { children = [], ...properties } = {}) => {
  const element = Object.assign(document.createElement(tag), properties)
  element.append(...children)
  return element
}

function prepare(parts, api) {
  wx = api
  app = parts.app
}

function title(text) {
  const heading = document.querySelector('#bar h1')
  if (heading) heading.textContent = text
  document.title = text
}

/** Draw the bar and the tabs of a page. */
function show(page, parts, hasBack) {
  const named = parts.configs[page.path].navigationBarTitleText ?? app.window?.navigationBarTitleText ?? ''
  const text = page.title ?? named
  const isTab = app.tabBar?.list.some(({ pagePath }) => pagePath === page.path)
  const bar = []
  if (hasBack) {
    bar.push(make('button', { className: 'back', textContent: '‹', ariaLabel: '返回 Back', onclick: () => history.back() }))
  } else if (!isTab) {
    bar.push(make('button', { className: 'back', textContent: '⌂', ariaLabel: '首页 Home', onclick: () => wx.reLaunch({ url: `/${app.pages[0]}` }) }))
  }
  document.getElementById('bar').replaceChildren(...bar, make('h1'))
  title(text)
  const tabs = document.getElementById('tabs')
  tabs.hidden = !isTab
  tabs.ariaLabel = '主导航 Main'
  if (isTab) tabs.replaceChildren(...app.tabBar.list.map((each, index) => tabOf(each, index, page.path)))
}

const words = new Map() // index of a tab -> its text, as wx.setTabBarItem set it
const badges = new Map()

function tabOf({ pagePath, text }, index, path) {
  const tab = make('button', { onclick: () => wx.switchTab({ url: `/${pagePath}` }) })
  tab.append(make('span', { textContent: words.get(index) ?? text }))
  if (badges.get(index)) tab.append(make('span', { className: 'badge', textContent: badges.get(index) }))
  if (pagePath === path) tab.setAttribute('aria-current', 'page')
  return tab
}

function setTab(index, { text, badge }) {
  if (text !== undefined) words.set(index, text)
  if (badge !== undefined) badges.set(index, badge)
  const tab = document.getElementById('tabs').children[index]
  const each = app.tabBar.list[index]
  const isCurrent = tab?.getAttribute('aria-current') === 'page'
  tab?.replaceWith(tabOf(each, index, isCurrent ? each.pagePath : ''))
}

let toasted

function toast(text, { isBusy = false, duration = 1500 } = {}) {
  clearTimeout(toasted)
  document.querySelector('#above .toast')?.remove()
  if (!text) return
  document.getElementById('above').append(make('div', { className: 'toast', role: isBusy ? 'alert' : 'status', textContent: text }))
  if (!isBusy) toasted = setTimeout(() => toast(''), duration)
}

/** A dialog that answers with what `choices` name; Escape is the last one. */
function dialog({ heading = '', body = [], choices }) {
  return new Promise((answer) => {
    const before = document.activeElement
    const box = make('dialog', { className: 'dialog', ariaLabel: heading || '提示' })
    const end = (value) => {
      box.close()
      box.remove()
      before?.focus?.()
      answer(value)
    }
    const buttons = choices.map(({ text, value, isMain }) =>
      make('button', { textContent: text, className: isMain ? 'main' : '', onclick: () => end(typeof value === 'function' ? value() : value) }))
    box.append(...(heading ? [make('h2', { textContent: heading })] : []), ...body, make('div', { className: 'choices', children: buttons }))
    box.addEventListener('cancel', (event) => {
      event.preventDefault()
      buttons[buttons.length - 1].click()
    })
    document.getElementById('above').append(box)
    box.showModal()
  })
}

module.exports = { prepare, show, title, toast, dialog, setTab, make }
