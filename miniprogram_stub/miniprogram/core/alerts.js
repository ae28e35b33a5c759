// Alerts as a page shows them.

const { ask } = require('./api')
const i18n = require('./i18n')
const levels = require('./levels')
const session = require('./session')
const time = require('./time')

/** An alert of the inbox, or `{alert}` of the public list, as a line: no field of it is undefined. */
function lineOf({ alert, places = [], is_exercise: isExercise = false }) {
  const words = i18n.pick(alert.texts)
  const areaNames = alert.areas.map((area) => area.name).join(i18n.common().comma)
  return {
    id: alert.identifier,
    level: levels.of(alert.colour),
    headline: words.headline || words.event,
    description: words.description,
    instruction: words.instruction,
    sender: words.sender_name,
    places: places.map((place) => place.division_name).join(i18n.common().comma) || areaNames,
    areaNames,
    until: time.short(alert.expires_at),
    sent: time.short(alert.sent_at),
    standing: alert.standing,
    isExercise: isExercise || alert.kind === 'exercise',
  }
}

/** What is in force: for the own places, or in the whole city for whoever is not logged in. Kept for no network. */
async function inForce() {
  const answer = session.isIn()
    ? await ask('inbox.page', { query: { limit: 20 }, keep: true })
    : await ask('alerts.list', { keep: true })
  const found = session.isIn() ? answer.data.alerts : answer.data.alerts.map((alert) => ({ alert }))
  return { ...answer, lines: found.map(lineOf) }
}

module.exports = { lineOf, inForce }
