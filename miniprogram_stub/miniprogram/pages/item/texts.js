module.exports = {
  zh: {
    title: '事项',
    apply: '在线办理',
  },
  en: {
    title: 'Item',
    apply: 'Apply',
  },
}
