// `wx` in a browser: the APIs that the app uses, each as its page in WeChat's documentation says.
//
// Who one is stands in the address: `?as=resident1` makes wx.login hand out codes of that citizen of the sandbox, and
// keeps a storage of its own, so two windows are two people. Without it one is somebody new, for this browser.

const { api, apis, calls, answers } = require('./call.js')
const net = require('./net.js')
const { ask, choosePicture, getPhoneNumber, map } = require('./people.js')

const asked = new URLSearchParams(location.search)
const random = () => Array.from(crypto.getRandomValues(new Uint32Array(3)), (n) => n.toString(36)).join('')

function me() {
  const named = asked.get('as')
  if (named) return named
  const known = localStorage.getItem('mini/visitor') ?? `visitor-${random()}`
  localStorage.setItem('mini/visitor', known)
  return known
}

/** wx.setStorage and its fellows, synchronous; 1 MB a value and 10 MB in all, as in WeChat. */
function storage(prefix) {
  const at = (key) => `mini/${prefix}/${key}`
  const keys = () => Object.keys(localStorage).filter((key) => key.startsWith(at(''))).map((key) => key.slice(at('').length))
  const size = () => keys().reduce((sum, key) => sum + localStorage.getItem(at(key)).length, 0)
  return {
    getStorageSync: (key) => JSON.parse(localStorage.getItem(at(key)) ?? '""'),
    setStorageSync: (key, value) => {
      const text = JSON.stringify(value)
      if (text.length > 1_048_576) throw new Error('setStorage:fail data exceed max size')
      if (size() + text.length > 10_485_760) throw new Error('setStorage:fail exceed storage max size')
      localStorage.setItem(at(key), text)
    },
    removeStorageSync: (key) => localStorage.removeItem(at(key)),
    clearStorageSync: () => keys().forEach((key) => localStorage.removeItem(at(key))),
    getStorageInfoSync: () => ({ keys: keys(), currentSize: Math.ceil(size() / 1024), limitSize: 10_240 }),
  }
}

const windowInfo = () => ({
  windowWidth: Math.min(innerWidth, 430), windowHeight: innerHeight, screenWidth: innerWidth, screenHeight: innerHeight,
  pixelRatio: devicePixelRatio, statusBarHeight: 0, safeArea: { left: 0, top: 0, right: innerWidth, bottom: innerHeight },
})
const baseInfo = () => ({
  SDKVersion: '3.8.0', version: '8.0.50', language: navigator.language.replace('-', '_'), enableDebug: false,
  theme: matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light', fontSizeSetting: 17,
  host: { env: 'WeChat' },
})

function screens(stack, chrome) {
  return {
    showToast: ({ title, icon, duration }) => chrome.toast(title, { duration, isBusy: icon === 'loading' }),
    hideToast: () => chrome.toast(''),
    showLoading: ({ title }) => chrome.toast(title, { isBusy: true }),
    hideLoading: () => chrome.toast(''),
    showModal: ({ title, content = '', showCancel = true, confirmText = '确定', cancelText = '取消', editable, placeholderText }) =>
      ask.modal({ title, content, showCancel, confirmText, cancelText, editable, placeholderText }),
    showActionSheet: ({ itemList }) => ask.sheet(itemList),
    setNavigationBarTitle: ({ title }) => {
      if (stack.top) stack.top.title = title
      chrome.title(title)
    },
    setNavigationBarColor: () => ({}),
    setTabBarItem: ({ index, text }) => chrome.setTab(index, { text }),
    setTabBarBadge: ({ index, text }) => chrome.setTab(index, { badge: text }),
    removeTabBarBadge: ({ index }) => chrome.setTab(index, { badge: '' }),
    pageScrollTo: ({ scrollTop, selector }) => {
      const found = selector && stack.top.host.querySelector(selector)
      if (found) found.scrollIntoView()
      else window.scrollTo(0, scrollTop ?? 0)
    },
    startPullDownRefresh: () => stack.top.view.onPullDownRefresh?.(),
    stopPullDownRefresh: () => ({}),
    vibrateShort: () => ({}),
  }
}

function person(who) {
  return {
    login: () => ({ code: `${who}.${random()}` }),
    checkSession: () => ({}),
    getSetting: () => ({ authSetting: {}, subscriptionsSetting: { mainSwitch: true, itemSettings: {} } }),
    requestSubscribeMessage: ({ tmplIds }) => ask.subscribe(tmplIds),
    getLocation: ({ type = 'wgs84' }) => map.here(type),
    chooseLocation: () => map.choose(),
    openLocation: () => ({}),
    chooseMedia: ({ count = 9 }) => choosePicture(count, 'image/*', net.keep),
    chooseMessageFile: ({ count = 9 }) => choosePicture(count, '', net.keep),
    scanCode: () => ask.text('扫码 Scan', 'result'),
    makePhoneCall: () => ({}),
    addPhoneCalendar: () => ({}),
    setClipboardData: ({ data }) => navigator.clipboard?.writeText(data).catch(() => {}),
    previewImage: () => ({}),
    saveFile: ({ tempFilePath }) => ({ savedFilePath: tempFilePath }),
    openDocument: () => ({}),
    getNetworkType: () => net.state(),
  }
}

/** The whole of `wx`. */
function makeWx(navigation, stack, chrome) {
  const who = me()
  const kept = storage(who)
  const hidden = new Set()
  document.addEventListener('visibilitychange', () => document.hidden && hidden.forEach((listener) => listener()))
  return {
    ...apis({ ...navigation, ...screens(stack, chrome), ...person(who) }),
    ...kept,
    setStorage: api('setStorage', ({ key, data }) => kept.setStorageSync(key, data)),
    getStorage: api('getStorage', ({ key }) => ({ data: kept.getStorageSync(key) })),
    removeStorage: api('removeStorage', ({ key }) => kept.removeStorageSync(key)),
    request: net.request,
    uploadFile: net.uploadFile,
    downloadFile: net.downloadFile,
    getFileSystemManager: () => net.fileSystem,
    onNetworkStatusChange: (listener) => net.heard.add(listener),
    offNetworkStatusChange: (listener) => net.heard.delete(listener),
    onAppHide: (listener) => hidden.add(listener),
    getWindowInfo: windowInfo,
    getAppBaseInfo: baseInfo,
    getDeviceInfo: () => ({ brand: 'browser', model: 'Chromium', platform: 'devtools', system: '' }),
    getSystemInfoSync: () => ({ ...windowInfo(), ...baseInfo(), platform: 'devtools' }),
    getAccountInfoSync: () => ({ miniProgram: { appId: 'sandbox', envVersion: 'develop', version: '' } }),
    getExtConfigSync: () => ({ api: asked.get('api') ?? '' }),
    getLaunchOptionsSync: () => ({ path: stack.parts.app.pages[0], query: {}, scene: 1001 }),
    getEnterOptionsSync: () => ({ path: stack.parts.app.pages[0], query: {}, scene: 1001 }),
    getUpdateManager: () => ({ onCheckForUpdate() {}, onUpdateReady() {}, onUpdateFailed() {}, applyUpdate() {} }),
    nextTick: (callback) => setTimeout(callback, 0),
    onThemeChange: () => {},
    canIUse: () => true,
    arrayBufferToBase64: (buffer) => btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join('')),
    __calls: calls,
    __answers: answers,
    __getPhoneNumber: () => getPhoneNumber(asked.get('phone') ?? ''),
  }
}

module.exports = { makeWx }
