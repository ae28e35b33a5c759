module.exports = {
  zh: {
    title: '我的办件',
  },
  en: {
    title: 'My applications',
  },
}
