module.exports = {
  zh: {
    title: '预警',
  },
  en: {
    title: 'Alerts',
  },
}
