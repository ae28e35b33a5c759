module.exports = {
  zh: {
    title: '公告',
  },
  en: {
    title: 'Public notices',
  },
}
