module.exports = {
  zh: {
    title: '登录',
    welcome: '城市服务，一处办好',
    about: '登录后可接收您所在地的预警，预约和办理事项。',
    enter: '微信一键登录',
    privacy: '我们只获取您的微信标识，不读取昵称、头像和通讯录。',
  },
  en: {
    title: 'Log in',
    welcome: 'City services in one place',
    about: 'Log in to get alerts for your places, to book and to apply.',
    enter: 'Log in with WeChat',
    privacy: 'We only learn your WeChat identifier: no name, no picture, no contacts.',
  },
}
