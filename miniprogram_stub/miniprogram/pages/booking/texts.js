module.exports = {
  zh: {
    title: '预约',
  },
  en: {
    title: 'Booking',
  },
}
