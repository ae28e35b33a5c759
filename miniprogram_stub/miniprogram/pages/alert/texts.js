module.exports = {
  zh: {
    title: '预警详情',
    toDo: '怎么做',
  },
  en: {
    title: 'Alert',
    toDo: 'What to do',
  },
}
