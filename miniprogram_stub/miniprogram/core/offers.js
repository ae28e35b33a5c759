// Offers as pages show them.

const time = require('./time')

const OPEN = ['offered', 'seen'] // states in which one may still be taken

const isOpen = ({ state }) => OPEN.includes(state)

/** @param {any} offer @param {Record<string, any>} words `states`: of all pages, by the name of the state */
const lineOf = (offer, words) => ({
  id: offer.id,
  title: offer.title,
  body: offer.body,
  until: time.date(offer.expires_at),
  standing: words[offer.state] || '',
  isOpen: isOpen(offer),
})

module.exports = { isOpen, lineOf }
