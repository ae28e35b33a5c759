module.exports = {
  zh: {
    title: '我的办件',
    nothing: '您还没有办件',
    due: '预计 {day} 前办结',
    states: { draft: '草稿' },
  },
  en: {
    title: 'My applications',
    nothing: 'You have not applied for anything yet',
    due: 'expected by {day}',
    states: { draft: 'Draft' },
  },
}
