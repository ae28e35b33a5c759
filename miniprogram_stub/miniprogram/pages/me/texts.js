module.exports = {
  zh: {
    title: '我的',
    how: '显示',
    language: '语言',
    elder: '长辈模式',
    on: '已开启',
    off: '未开启',
    logOut: '退出登录',
  },
  en: {
    title: 'Me',
    how: 'Display',
    language: 'Language',
    elder: 'Elder mode',
    on: 'on',
    off: 'off',
    logOut: 'Log out',
  },
}
