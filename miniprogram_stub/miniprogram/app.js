const outbox = require('./core/outbox')

App({
  onLaunch() {
    wx.onNetworkStatusChange(({ isConnected }) => {
      if (isConnected) outbox.flush()
    })
  },
  onShow() {
    outbox.flush()
  },
})
