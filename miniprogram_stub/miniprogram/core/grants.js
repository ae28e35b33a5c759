// Leave for WeChat to send: asked in a tap, after a person said what they want to hear of, and again when it is used up.
//
// WeChat takes such a question only from a tap, so nothing may be awaited before `ask`: load `lacking` with the page. What
// the person answered is told to the server, later if there is no network: it is a forecast until WeChat's own word.

const { newKey } = require('./api')
const { post } = require('./outbox')
const { Problem } = require('./problem')
const i18n = require('./i18n')

const MOST = 3 // templates in one question
const FEW = 2 // messages that are left: time to ask again
const CONFIRMED_MS = 90 * 1000 // until WeChat's own word of an answer is there, the server may not count on it yet
const SWITCHED_OFF = 20004 // the person has switched off all messages of this program in WeChat

const accepted = new Map() // template -> when it was allowed here

const isFresh = (template) => Date.now() - (accepted.get(template) || 0) < CONFIRMED_MS

/**
 * Templates that WeChat would refuse now; those that the levels need come first. At most as many as one question takes.
 * Those of one message each are for exercises: only who takes part in them lacks one.
 */
function lacking({ templates, reachable }, isTester = false) {
  const needed = reachable.flatMap((lane) => lane.missing.flatMap((way) => way.ask))
  const without = templates.filter((each) => !each.is_granted && (isTester || each.kind === 'long_term')).map((each) => each.template)
  return [...new Set([...needed, ...without])].filter((template) => !isFresh(template)).slice(0, MOST)
}

/** One-time templates of which only few messages are left: `{template, left}`. */
const low = ({ templates }) => templates.filter((each) => each.left !== null && each.left > 0 && each.left <= FEW)

/** Ask the person, from a tap. True if all was allowed; a Problem if WeChat cannot be asked. */
async function ask(templates) {
  if (!templates.length) return true
  let answer
  try {
    answer = await wx.requestSubscribeMessage({ tmplIds: templates })
  } catch (error) {
    const words = i18n.common().grants
    throw new Problem({ code: 'grants_off', title: words.failed, detail: error.errCode === SWITCHED_OFF ? words.switchedOff : words.later })
  }
  templates.filter((each) => String(answer[each]).startsWith('accept')).forEach((each) => accepted.set(each, Date.now()))
  const answers = Object.fromEntries(templates.filter((each) => answer[each]).map((each) => [each, answer[each]]))
  if (Object.keys(answers).length) await post('grants.tell', { body: { id: newKey(), answers } })
  return templates.every((each) => String(answer[each]).startsWith('accept'))
}

module.exports = { lacking, low, ask }
