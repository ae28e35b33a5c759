module.exports = {
  zh: {
    title: '消息',
  },
  en: {
    title: 'Inbox',
  },
}
