module.exports = {
  zh: {
    title: '授权管理',
    intro: '是否同意由您决定。撤回立即生效，不影响使用其他服务。',
    sensitive: '涉及敏感个人信息，单独征求您的同意。',
    outdated: '说明已更新，需要您重新决定',
    given: '已同意 {time}',
    withdrawn: '已撤回 {time}',
    never: '未同意',
    agree: '同意',
    withdraw: '撤回',
  },
  en: {
    title: 'What I agreed to',
    intro: 'It is your choice. Taking it back holds at once, and all other services stay open to you.',
    sensitive: 'Sensitive data: you are asked for this by itself.',
    outdated: 'The text has changed: please decide again',
    given: 'agreed {time}',
    withdrawn: 'taken back {time}',
    never: 'not agreed',
    agree: 'Agree',
    withdraw: 'Take back',
  },
}
