// Places as pages show them: `{id, name, where, code, point}`.

const { ask } = require('./api')
const i18n = require('./i18n')

/** A place of the server's; without a name of its own it is called by what it is to the person. */
function placeOf({ id, label, name, division, point }) {
  const { labels } = i18n.common()
  return { id, label, name: name || labels[label], where: i18n.pick({ zh: division.name, en: division.name_en }), code: division.code, point }
}

/** All of the person's: the answer, with `places` beside it. */
async function mine() {
  const answer = await ask('places.list', { keep: true })
  return { ...answer, places: answer.data.places.map(placeOf) }
}

module.exports = { mine, placeOf }
