module.exports = {
  zh: {
    title: '预警设置',
    places: '我的地点',
  },
  en: {
    title: 'Alert settings',
    places: 'My places',
  },
}
