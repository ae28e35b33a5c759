module.exports = {
  zh: {
    title: '在线办理',
    soon: '请填写表单',
  },
  en: {
    title: 'Apply',
    soon: 'Please fill in the form',
  },
}
