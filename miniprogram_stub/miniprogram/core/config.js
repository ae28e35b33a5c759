// Where the server is. A city writes its own https address here before it uploads; DevTools and the browser run against
// `make run`. In a browser the server is the one that the page came from.

const given = wx.getExtConfigSync()

module.exports = {
  base: given && typeof given.api === 'string' ? given.api : 'http://127.0.0.1:8080',
  timeoutMs: 10000,
}
