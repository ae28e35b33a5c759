module.exports = {
  zh: {
    title: '为您推荐',
    none: '暂无推荐',
  },
  en: {
    title: 'For you',
    none: 'There is no offer yet',
  },
}
