// Starts the app: registers its parts with the engine and keeps the stack of pages as WeChat does.
//
// Tab pages live on while others are shown; a page that was navigated to is gone when one goes back. The address after
// the # is the page on top, so that any page with its query can be opened from outside.

const { adapter, context, listen } = require('./engine.js')
const { defineBuiltIns } = require('./builtins.js')
const { makeWx } = require('./wx.js')
const chrome = require('./chrome.js')

const MAX_DEPTH = 10

class Stack {
  constructor(parts, space, backend) {
    this.parts = parts
    this.space = space
    this.backend = backend
    this.tabs = new Map() // path -> page that lives on
    this.pages = []
    this.host = document.getElementById('pages')
  }

  get top() {
    return this.pages[this.pages.length - 1]
  }

  isTab(path) {
    return (this.parts.app.tabBar?.list ?? []).some(({ pagePath }) => pagePath === path)
  }

  open(path, query) {
    const element = document.createElement('div')
    this.host.append(element)
    const root = this.backend.createRoot('wx-page', this.space, path)
    root.attach(this.host, element)
    const view = root.get()
    const host = this.host.lastElementChild
    host.setAttribute('is', path)
    Object.assign(view, { route: path, options: query })
    const page = { path, query, root, view, host, scroll: 0 }
    page.view.onLoad?.(query)
    return page
  }

  show(page) {
    page.host.hidden = false
    chrome.show(page, this.parts, this.pages.length > 1)
    window.scrollTo(0, page.scroll)
    page.view.onShow?.()
    if (!page.isReady) {
      page.isReady = true
      page.view.onReady?.()
    }
  }

  hide(page) {
    if (!page) return
    page.scroll = window.scrollY
    page.host.hidden = true
    page.view.onHide?.()
  }

  close(page) {
    page.view.onUnload?.()
    page.root.release()
    page.host.remove()
  }

  push(path, query) {
    if (this.isTab(path)) throw new Error('can not navigateTo a tabbar page')
    if (this.pages.length >= MAX_DEPTH) throw new Error('webview count limit exceed')
    this.hide(this.top)
    this.pages.push(this.open(path, query))
    this.show(this.top)
  }

  replace(path, query) {
    if (this.isTab(path)) throw new Error('can not redirectTo a tabbar page')
    const old = this.pages.pop()
    this.hide(old)
    if (this.tabs.get(old.path) !== old) this.close(old)
    this.pages.push(this.open(path, query))
    this.show(this.top)
  }

  back(delta) {
    const gone = this.pages.splice(Math.max(1, this.pages.length - delta))
    if (!gone.length) return
    for (const page of gone.reverse()) {
      this.hide(page)
      this.close(page)
    }
    this.show(this.top)
  }

  toTab(path) {
    if (!this.isTab(path)) throw new Error('can not switch to no-tabBar page')
    const [bottom, ...others] = this.pages
    this.hide(this.top)
    for (const page of others.reverse()) this.close(page)
    if (bottom && this.tabs.get(bottom.path) !== bottom) this.close(bottom)
    const page = this.tabs.get(path) ?? this.open(path, {})
    this.tabs.set(path, page)
    this.pages = [page]
    this.show(page)
  }

  restart(path, query) {
    for (const page of new Set([...this.pages, ...this.tabs.values()])) {
      if (page === this.top) this.hide(page)
      this.close(page)
    }
    this.tabs.clear()
    this.pages = [this.open(path, query)]
    if (this.isTab(path)) this.tabs.set(path, this.top)
    this.show(this.top)
  }
}

/** `/pages/x/x?a=b`, absolute or from the page on top, as a path that exists and a query. */
function target(url, stack) {
  const [named, query = ''] = url.split('?')
  const base = `https://app/${stack.top ? stack.top.path : ''}`
  const path = new URL(named, base).pathname.slice(1)
  if (!stack.parts.app.pages.includes(path)) throw new Error(`page "${path}" is not found`)
  return [path, Object.fromEntries(new URLSearchParams(query))]
}

/** The verbs of navigation over a stack; they keep the address and the browser's own "back" in step. */
function navigation(stack) {
  let isFollowing = false
  const note = (isNew) => {
    const { path, query } = stack.top
    const words = new URLSearchParams(query).toString()
    const address = `#/${path}${words && `?${words}`}`
    history[isNew ? 'pushState' : 'replaceState']({ depth: stack.pages.length }, '', address)
  }
  window.addEventListener('popstate', (event) => {
    const depth = event.state?.depth ?? 1
    isFollowing = true
    if (depth < stack.pages.length) stack.back(stack.pages.length - depth)
    isFollowing = false
    note(false)
  })
  const go = (verb, isNew) => ({ url }) => {
    stack[verb](...target(url, stack))
    note(isNew)
  }
  return {
    navigateTo: go('push', true),
    redirectTo: go('replace', false),
    reLaunch: go('restart', false),
    switchTab: go('toTab', false),
    navigateBack: ({ delta = 1 } = {}) => {
      if (isFollowing) return
      stack.back(delta)
      note(false)
    },
  }
}

function register(parts) {
  const env = new adapter.MiniProgramEnv()
  const backend = env.associateBackend(context())
  const space = env.createCodeSpace('main', true)
  const components = space.getComponentSpace()
  components.updateComponentOptions({ ...components.getComponentOptions(), writeIdToDOM: true, writeFieldsToNode: false })
  defineBuiltIns(components)
  for (const [path, config] of Object.entries(parts.configs)) {
    space.addComponentStaticConfig(path, config)
    space.addCompiledTemplate(path, {
      groupList: parts.templates, content: parts.templates[path], fallbackListenerOnNativeNode: true,
    })
    if (parts.scopes[path]) space.addStyleSheet(path, undefined, parts.scopes[path])
  }
  return { space, backend }
}

function start(parts) {
  const { space, backend } = register(parts)
  const stack = new Stack(parts, space, backend)
  let app = {}
  Object.assign(window, {
    App: (definition) => { app = definition },
    getApp: () => app,
    getCurrentPages: () => stack.pages.map(({ view }) => view),
  })
  window.wx = makeWx(navigation(stack), stack, chrome)
  listen(stack.host)
  chrome.prepare(parts, window.wx)
  parts.loaders.app()
  for (const [path, load] of Object.entries(parts.loaders)) {
    if (path !== 'app') space.globalComponentEnv(window, path, load)
  }
  const [path, query] = first(parts, stack)
  const options = { path, query, scene: 1001 }
  app.onLaunch?.(options)
  app.onShow?.(options)
  document.addEventListener('visibilitychange', () => {
    const verb = document.hidden ? 'onHide' : 'onShow'
    app[verb]?.(options)
    stack.top?.view[verb]?.()
  })
  stack.restart(path, query)
  history.replaceState({ depth: 1 }, '', location.href)
}

/** The page that the address names, else the first one. */
function first(parts, stack) {
  try {
    return target(location.hash.slice(1), stack)
  } catch {
    return [parts.app.pages[0], {}]
  }
}

module.exports = { start }
