// The four levels, worst first. The server says `Red`; the app says `red`. Each has a shape of its own beside its colour
// (ISO 22324: never by colour alone).

const LEVELS = ['red', 'orange', 'yellow', 'blue']

const of = (colour) => (LEVELS.includes(String(colour).toLowerCase()) ? String(colour).toLowerCase() : 'blue')

module.exports = { LEVELS, of }
