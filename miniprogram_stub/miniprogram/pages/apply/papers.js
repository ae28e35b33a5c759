// Papers of an application: a picture or a PDF of the own, or a department that is asked instead (免提交).

const { ask } = require('../../core/api')
const i18n = require('../../core/i18n')

// Every row of the table of sources names this purpose; its text is the server's.
const CONSENT = 'use_department_data'
const BEGINNINGS = { 'image/png': [0x89, 0x50], 'image/jpeg': [0xff, 0xd8], 'application/pdf': [0x25, 0x50] }

/** By its first bytes, as the server looks; '' is for the server to refuse. */
function kindOf(buffer) {
  const first = new Uint8Array(buffer)
  const found = Object.entries(BEGINNINGS).find(([, bytes]) => bytes.every((byte, at) => first[at] === byte))
  return found ? found[0] : 'application/octet-stream'
}

const read = (filePath) => new Promise((done, refuse) => {
  wx.getFileSystemManager().readFile({ filePath, success: ({ data }) => done(data), fail: refuse })
})

/** One file that the person chooses: {path, name}; null if they think better of it. */
async function choose(t) {
  try {
    const { tapIndex } = await wx.showActionSheet({ itemList: [t.picture, t.file] })
    if (tapIndex === 0) {
      const { tempFiles } = await wx.chooseMedia({ count: 1, mediaType: ['image'], sizeType: ['compressed'] })
      return { path: tempFiles[0].tempFilePath, name: '' }
    }
    const { tempFiles } = await wx.chooseMessageFile({ count: 1, type: 'all' })
    return { path: tempFiles[0].path, name: tempFiles[0].name }
  } catch (cancelled) {
    return null
  }
}

/** Send it as it is: the contract takes the file for the body. Yields the application. */
async function attach(application, material, { path, name }) {
  const body = await read(path)
  const query = { material, name: name.slice(0, 200) }
  const { data } = await ask('applications.attach', { path: { application }, query, body, headers: { 'content-type': kindOf(body) } })
  return data
}

async function detach(application, attachment) {
  return (await ask('applications.detach', { path: { application, attachment } })).data
}

/** True once the person has agreed to the text in force, now or before. */
async function agreed(t) {
  const { data } = await ask('consents.list')
  const found = data.consents.find(({ purpose }) => purpose === CONSENT)
  if (!found || found.is_given) return true
  const { confirm } = await wx.showModal({ title: found.title, content: found.text, confirmText: t.agree, cancelText: t.refuse })
  if (confirm) await ask('consents.agree', { path: { purpose: CONSENT }, body: { version: found.version } })
  return confirm
}

/** Ask a department. Yields the application as it is then; null without consent. */
async function fromSource(application, source, t) {
  if (!(await agreed(t))) return null
  return (await ask('applications.ask', { path: { application, source } })).data
}

/** The departments that an item can ask: what each stands for. `fields` are {label, fill} of the form. */
function sourcesOf(materials, fields, brought, t, day) {
  const found = new Map()
  for (const { name, source } of materials) {
    if (!source) continue
    const one = found.get(source.name) || { name: source.name, title: i18n.pick(source.title), gives: [] }
    one.gives.push(i18n.pick(name))
    found.set(source.name, one)
  }
  return [...found.values()].map((one) => {
    const there = brought.find(({ means, ref }) => means === 'source' && ref === one.name)
    const fills = fields.filter(({ fill }) => fill && fill.split('.')[0] === one.name).map(({ label }) => i18n.pick(label))
    return {
      ...one,
      gives: [...one.gives, ...fills].join('、'),
      isThere: Boolean(there),
      state: there ? i18n.fill(t.from, { source: one.title, day: day(there.as_of_at || there.at) }) : '',
      ask: i18n.fill(t.askSource, { source: one.title }),
    }
  })
}

module.exports = { choose, attach, detach, fromSource, sourcesOf }
