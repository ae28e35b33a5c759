module.exports = {
  zh: {
    title: '天气预报',
    none: '暂无预报',
  },
  en: {
    title: 'Forecast',
    none: 'There is no forecast yet',
  },
}
