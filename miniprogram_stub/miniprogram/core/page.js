// How a page is made: `page({texts, load, ...})` instead of `Page({...})`. It brings words, states and the way back.
//
// A page says what it shows in `load(query)`, which yields its data. While that runs `state` is `loading`; then `ready`
// (or `empty`, if the page sets it); a Problem makes it `error`, with `problem` in words. What was shown stays on the
// screen while it is loaded again. <hm-page> draws all of that.

const elder = require('./elder')
const i18n = require('./i18n')
const session = require('./session')
const { Problem } = require('./problem')
const time = require('./time')
const outbox = require('./outbox')
const { watchAlerts } = require('./watch')

const LOG_IN = '/pages/log-in/log-in'

/** Words of a Problem; a fault of our own is told as one, and written to the console, where tests see it. */
function wordsOf(error) {
  if (error instanceof Problem) return error.words
  console.error(error)
  const { broken } = i18n.common()
  return { code: 'unexpected', title: broken.title, detail: broken.detail, requestId: '', isOffline: false }
}

/** Where one was, to come back to after the log-in. */
function here(view) {
  const query = Object.entries(view.options || {}).map(([name, value]) => `${name}=${value}`).join('&')
  return `/${view.route}${query ? `?${query}` : ''}`
}

const common = {
  /** Words, language and elder mode as they are now. */
  dress() {
    const t = i18n.words(this.texts)
    this.setData({ t, isElder: elder.isOn(), language: i18n.language(), queued: outbox.waiting().length })
    if (t.title) wx.setNavigationBarTitle({ title: t.title })
    t.common.tabs.forEach((text, index) => wx.setTabBarItem({ index, text, fail() {} }))
  },

  /** Load again; whoever is not logged in and has to be is led to the log-in. */
  async reload() {
    if (this.needsLogIn && !session.isIn()) {
      wx.redirectTo({ url: `${LOG_IN}?back=${encodeURIComponent(here(this))}`, fail: () => wx.reLaunch({ url: `${LOG_IN}?back=${encodeURIComponent(here(this))}` }) })
      return
    }
    const turn = (this.turn || 0) + 1
    this.turn = turn
    if (this.data.state !== 'ready') this.setData({ state: 'loading' })
    try {
      if (this.watch) await this.watch.ready
      const found = await this.load(this.options)
      if (this.turn === turn) this.setData({ state: 'ready', problem: null, ...found })
    } catch (error) {
      if (this.turn === turn) this.fail(error)
    }
    wx.stopPullDownRefresh({ fail() {} })
  },

  /** Show what went wrong. A log-in that is over leads to a new one; what is on the screen stays there. */
  fail(error) {
    if (error.status === 401) {
      session.expire()
      this.reload()
      return
    }
    const problem = wordsOf(error)
    if (this.data.state === 'ready') wx.showToast({ title: problem.title, icon: 'none' })
    else this.setData({ state: 'error', problem })
  },

  /** Run what a tap began, its Problem shown; `busy` names it meanwhile. A second tap on it does nothing, one on another thing waits. */
  async act(name, work) {
    if (this.data.busy === name) return undefined
    while (this.data.busy) await this.acting
    const acting = this.run(name, work)
    this.acting = acting
    return acting
  },

  async run(name, work) {
    this.setData({ busy: name, problem: null })
    try {
      return await work()
    } catch (error) {
      if (error.status === 401) this.fail(error)
      else this.setData({ problem: wordsOf(error), fields: error.fields || {} })
      return undefined
    } finally {
      this.setData({ busy: '' })
    }
  },

  /** It is not on the screen any more: nothing is asked for it. */
  rest() {
    this.isShown = false
    clearInterval(this.timer)
    if (this.watch) this.watch.end()
  },

  /** "as of": null for what is fresh. */
  age(answer) {
    return answer.isOld ? i18n.fill(i18n.common().asOf, { time: time.short(answer.at) }) : ''
  },
}

/**
 * Define a page. `everyS` calls `tick()` every so many seconds while the page is on the screen, and only then;
 * `watchesAlerts` loads it again whenever alerts have changed.
 *
 * @param {Record<string, any>} definition
 */
function page(definition) {
  const own = { ...definition }
  Page({
    ...common,
    load: async () => ({}),
    tick() {},
    timer: 0,
    isShown: false,
    /** @type {ReturnType<typeof watchAlerts> | null} */
    watch: null,
    ...own,
    data: { t: i18n.words(own.texts), state: 'loading', problem: null, fields: {}, busy: '', isElder: false, language: 'zh', queued: 0, asOf: '', ...own.data },
    onLoad(query) {
      this.options = query || {}
      if (own.onLoad) own.onLoad.call(this, query)
    },
    onShow() {
      this.isShown = true
      this.dress()
      if (own.onShow) own.onShow.call(this)
      if (own.watchesAlerts) this.watch = watchAlerts(() => this.reload())
      this.reload()
      if (own.everyS) this.timer = setInterval(() => this.tick(), own.everyS * 1000)
    },
    onHide() {
      this.rest()
      if (own.onHide) own.onHide.call(this)
    },
    onUnload() {
      this.rest()
      if (own.onUnload) own.onUnload.call(this)
    },
    onPullDownRefresh() {
      this.reload()
    },
  })
}

module.exports = { page }
