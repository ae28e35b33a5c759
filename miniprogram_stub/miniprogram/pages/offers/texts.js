module.exports = {
  zh: {
    title: '为您推荐',
    none: '暂无推荐',
    open: '您可以办理',
    past: '以前的推荐',
    how: '推荐从哪里来',
    why: '经您同意，我们按各部门提供的信息查看您可享受的服务，主动告诉您。办不办由您决定。',
    consents: '授权管理',
    known: '部门掌握的信息',
  },
  en: {
    title: 'For you',
    none: 'There is no offer yet',
    open: 'Open to you',
    past: 'Earlier',
    how: 'Where offers come from',
    why: 'With your consent we look at what departments state, find what you may have, and tell you. Whether you take it is up to you.',
    consents: 'What I agreed to',
    known: 'What departments know',
  },
}
