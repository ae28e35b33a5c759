module.exports = {
  zh: {
    title: '办事',
    search: '搜索事项（可用拼音首字母）',
  },
  en: {
    title: 'Services',
    search: 'Search (words or first letters of pinyin)',
  },
}
