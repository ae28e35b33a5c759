// Which language, and the words in it. A page's words stand beside it in texts.js as {zh: {...}, en: {...}}, with the
// same keys in both (a test looks); what all pages share is core/texts.js.

const store = require('./store')
const common = require('./texts')

const KEY = 'language'

/** zh or en: what the person chose, else what WeChat runs in. */
function language() {
  const chosen = store.get(KEY, '')
  if (chosen) return chosen
  return wx.getAppBaseInfo().language.startsWith('zh') ? 'zh' : 'en'
}

const choose = (which) => store.set(KEY, which)

/** For Accept-Language. */
const header = () => (language() === 'zh' ? 'zh-CN' : 'en')

/** The words of a page and, under `common`, of all pages. */
const words = (texts) => ({ ...texts[language()], common: common[language()] })

/** One of `{zh, en}` as the server gives texts; the other if one lacks. */
const pick = (texts) => texts[language()] || texts.zh || texts.en

/** `{name}` in a sentence. */
const fill = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole))

module.exports = { language, choose, header, words, pick, fill, common: () => common[language()] }
