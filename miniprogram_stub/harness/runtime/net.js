// wx.request, wx.uploadFile and wx.downloadFile over fetch, and whether there is a network.

const { calls, answers } = require('./call.js')

const files = new Map() // what wx.chooseMedia and wx.downloadFile gave, by its temporary path

let count = 0
function keep(blob, name = '') {
  count += 1
  const path = `http://tmp/${count}${/\.[a-z0-9]+$/i.exec(name)?.[0] ?? ''}`
  files.set(path, { blob, name })
  return path
}

const joined = (url, data) => {
  const words = new URLSearchParams(Object.entries(data).filter(([, value]) => value !== undefined)).toString()
  return words ? `${url}${url.includes('?') ? '&' : '?'}${words}` : url
}

function body(method, { data, header }) {
  if (data === undefined || method === 'GET') return undefined
  if (typeof data === 'string' || data instanceof ArrayBuffer) return data
  const kind = Object.entries(header ?? {}).find(([name]) => name.toLowerCase() === 'content-type')?.[1]
  return kind === 'application/x-www-form-urlencoded' ? new URLSearchParams(data) : JSON.stringify(data)
}

async function answer(response, { dataType = 'json', responseType = 'text' }) {
  if (responseType === 'arraybuffer') return response.arrayBuffer()
  const text = await response.text()
  if (dataType !== 'json') return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** A task with `abort`; what it ends with goes to success or fail, and to complete. */
function task(name, options, work) {
  const stop = new AbortController()
  calls.push({ name, options: { ...options } })
  const timer = setTimeout(() => stop.abort('timeout'), options.timeout ?? 60_000)
  const given = answers[name]
  ;(async () => {
    try {
      const found = typeof given === 'function' ? await given(options) : given
      const result = { errMsg: `${name}:ok`, ...(found ?? (await work(stop.signal))) }
      options.success?.(result)
      options.complete?.(result)
    } catch (error) {
      const why = stop.signal.aborted ? String(stop.signal.reason) : error.message
      const failure = { errMsg: `${name}:fail ${why}`, errno: stop.signal.reason === 'timeout' ? 5 : 600001 }
      options.fail?.(failure)
      options.complete?.(failure)
    } finally {
      clearTimeout(timer)
    }
  })()
  return { abort: () => stop.abort('abort'), onHeadersReceived() {}, offHeadersReceived() {}, onProgressUpdate() {} }
}

function request(options) {
  return task('request', options, async (signal) => {
    const method = (options.method ?? 'GET').toUpperCase()
    const url = method === 'GET' && options.data ? joined(options.url, options.data) : options.url
    const header = { 'content-type': 'application/json', ...options.header }
    const sent = body(method, options)
    if (sent === undefined) delete header['content-type']
    // WeChat has no cache of its own between a page and the server: a 304 reaches the page.
    const response = await fetch(url, { method, headers: header, body: sent, signal, cache: 'no-store', credentials: 'omit' })
    return {
      data: await answer(response, options),
      statusCode: response.status,
      header: Object.fromEntries(response.headers),
      cookies: [],
    }
  })
}

function uploadFile(options) {
  return task('uploadFile', options, async (signal) => {
    const { blob, name } = files.get(options.filePath) ?? {}
    if (!blob) throw new Error('file not found')
    const form = new FormData()
    for (const [key, value] of Object.entries(options.formData ?? {})) form.append(key, value)
    form.append(options.name, blob, name)
    const response = await fetch(options.url, { method: 'POST', headers: options.header, body: form, signal })
    return { data: await response.text(), statusCode: response.status }
  })
}

function downloadFile(options) {
  return task('downloadFile', options, async (signal) => {
    const response = await fetch(options.url, { headers: options.header, signal })
    return { tempFilePath: keep(await response.blob(), options.url), statusCode: response.status }
  })
}

/** wx.getFileSystemManager(): reading is what a page needs to send a file as it is. */
const fileSystem = {
  readFile: ({ filePath, encoding, success, fail, complete }) => {
    const { blob } = files.get(filePath) ?? {}
    const read = blob ? (encoding ? blob.text() : blob.arrayBuffer()) : Promise.reject(new Error('no such file'))
    read.then(
      (data) => success?.({ data, errMsg: 'readFile:ok' }),
      (error) => fail?.({ errMsg: `readFile:fail ${error.message}` }),
    ).finally(() => complete?.())
  },
  writeFile: ({ filePath, data, success, complete }) => {
    files.set(filePath, { blob: new Blob([data]), name: filePath.split('/').pop() })
    success?.({ errMsg: 'writeFile:ok' })
    complete?.()
  },
  unlink: ({ filePath, success, complete }) => {
    files.delete(filePath)
    success?.({ errMsg: 'unlink:ok' })
    complete?.()
  },
}

/** wx.shareFileMessage sends a file to a chat; here the browser downloads it. */
function shareFileMessage({ filePath, fileName }) {
  const { blob } = files.get(filePath) ?? {}
  if (!blob) throw new Error('no such file')
  const href = URL.createObjectURL(blob)
  Object.assign(document.createElement('a'), { href, download: fileName || filePath.split('/').pop() }).click()
  setTimeout(() => URL.revokeObjectURL(href), 60_000)
}

const state = () => ({ isConnected: navigator.onLine, networkType: navigator.onLine ? 'wifi' : 'none' })
const heard = new Set()
for (const name of ['online', 'offline']) window.addEventListener(name, () => heard.forEach((listener) => listener(state())))

module.exports = { request, uploadFile, downloadFile, shareFileMessage, fileSystem, keep, files, state, heard }
