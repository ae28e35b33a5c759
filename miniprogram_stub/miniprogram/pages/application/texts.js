module.exports = {
  zh: {
    title: '办件进度',
  },
  en: {
    title: 'Application',
  },
}
