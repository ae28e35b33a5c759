// How an API of WeChat is called: with success, fail and complete, or with a promise where none of them is given.
//
// Every call is written down in `wx.__calls`; `wx.__answers.<name>` = a value or a function answers in its place.

const calls = []
const answers = {}

/** `work(options)` yields what `success` gets, or throws; an error's message becomes `<name>:fail <message>`. */
function api(name, work) {
  return (options = {}) => {
    calls.push({ name, options: { ...options } })
    const done = (async () => {
      const answer = name in answers ? answers[name] : undefined
      const given = typeof answer === 'function' ? await answer(options) : (answer ?? (await work(options)))
      return { errMsg: `${name}:ok`, ...given }
    })().catch((error) => {
      throw error.errMsg ? error : Object.assign(new Error(error.message), { errMsg: `${name}:fail ${error.message}` })
    })
    if (!options.success && !options.fail && !options.complete) return done
    done.then(
      (value) => {
        options.success?.(value)
        options.complete?.(value)
      },
      (error) => {
        options.fail?.(error)
        options.complete?.(error)
      },
    )
    return undefined
  }
}

/** Several of them, by name. */
const apis = (table) => Object.fromEntries(Object.entries(table).map(([name, work]) => [name, api(name, work)]))

module.exports = { api, apis, calls, answers }
