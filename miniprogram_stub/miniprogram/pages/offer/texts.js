module.exports = {
  zh: {
    title: '推荐详情',
    none: '暂无推荐',
  },
  en: {
    title: 'Offer',
    none: 'There is no offer yet',
  },
}
