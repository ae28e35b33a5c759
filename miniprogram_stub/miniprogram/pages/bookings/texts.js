module.exports = {
  zh: {
    title: '我的预约',
  },
  en: {
    title: 'My bookings',
  },
}
