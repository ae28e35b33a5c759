module.exports = {
  zh: {
    title: '候补',
  },
  en: {
    title: 'Waiting list',
  },
}
