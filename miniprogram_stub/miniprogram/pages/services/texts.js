module.exports = {
  zh: {
    title: '办事',
    search: '搜索事项（可用拼音首字母）',
    mine: '我的办件',
    found: '共 {count} 项',
    nothing: '没有找到。换个说法试试，或拨打12345。',
    moments: '一件事',
    themes: '按主题',
  },
  en: {
    title: 'Services',
    search: 'Search (words or first letters of pinyin)',
    mine: 'My applications',
    found: '{count} found',
    nothing: 'Nothing found. Try other words, or call 12345.',
    moments: 'Moments of life',
    themes: 'By theme',
  },
}
