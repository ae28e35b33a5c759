// What WeChat asks the person: dialogs, sheets, a place on a map, a picture, the telephone number, and leave to send.

const { dialog, make } = require('./chrome.js')

const RANDOM = () => Math.random().toString(36).slice(2)

const cancelled = () => {
  throw new Error('cancel')
}

function field(label, value = '') {
  const input = make('input', { value, ariaLabel: label })
  return [make('label', { children: [make('span', { textContent: label }), input] }), input]
}

const ask = {
  async modal({ title, content, showCancel, confirmText, cancelText, editable, placeholderText }) {
    const [box, input] = field(placeholderText || title || content, content)
    const body = editable ? [box] : content ? [make('p', { textContent: content })] : []
    const yes = { text: confirmText, value: true, isMain: true }
    const isYes = await dialog({ heading: title, body, choices: showCancel ? [yes, { text: cancelText, value: false }] : [yes] })
    return { confirm: isYes, cancel: !isYes, content: editable && isYes ? input.value : null }
  },

  async sheet(items) {
    const choices = [...items.map((text, tapIndex) => ({ text, value: { tapIndex } })), { text: '取消 Cancel', value: null }]
    return (await dialog({ heading: '请选择', choices })) ?? cancelled()
  },

  /** wx.requestSubscribeMessage: one switch per template, "always" left out; "no" refuses all of them. */
  async subscribe(templates) {
    const boxes = templates.map((template) => make('input', { type: 'checkbox', checked: true, name: template }))
    const body = boxes.map((box) => make('label', { children: [box, make('span', { textContent: ` ${box.name}` })] }))
    const isYes = await dialog({
      heading: '申请获取以下消息通知权限',
      body,
      choices: [{ text: '允许', value: true, isMain: true }, { text: '取消', value: false }],
    })
    return Object.fromEntries(boxes.map((box) => [box.name, isYes && box.checked ? 'accept' : 'reject']))
  },

  async text(heading, name) {
    const [box, input] = field(heading)
    const choices = [{ text: '确定 OK', value: () => ({ [name]: input.value }), isMain: true }, { text: '取消 Cancel', value: null }]
    return (await dialog({ heading, body: [box], choices })) ?? cancelled()
  },
}

/** A browser on a desk is nowhere: it stands in the middle of Nanshan, unless the person says where. */
const map = {
  here: (type) => ({ latitude: 22.5333, longitude: 113.9305, accuracy: 30, type }),
  async choose() {
    const [where, place] = field('纬度,经度（gcj02）', '22.5405,113.9345')
    const [what, name] = field('名称', '南头古城')
    const value = () => {
      const [latitude, longitude] = place.value.split(',').map(Number)
      return { latitude, longitude, name: name.value, address: name.value }
    }
    const choices = [{ text: '确定 OK', value, isMain: true }, { text: '取消 Cancel', value: null }]
    return (await dialog({ heading: '选择位置', body: [where, what], choices })) ?? cancelled()
  },
}

/** Files of the own device; `keep` gives each a temporary path. */
function choosePicture(count, accept, keep) {
  return new Promise((answer, refuse) => {
    const input = make('input', { type: 'file', accept, multiple: count > 1, hidden: true, ariaLabel: '选择文件' })
    input.onchange = () => {
      const found = [...input.files].slice(0, count).map((file) => ({
        tempFilePath: keep(file, file.name), path: keep(file, file.name), size: file.size, name: file.name, fileType: 'image',
      }))
      input.remove()
      answer({ tempFiles: found, type: 'image' })
    }
    input.oncancel = () => refuse(new Error('cancel'))
    document.getElementById('above').append(input)
    input.click()
  })
}

/** <button open-type="getPhoneNumber">: the sandbox's WeChat takes `<number>.<anything new>` as the code. */
async function getPhoneNumber(known) {
  const [box, input] = field('手机号 Phone', known)
  const choices = [{ text: '允许', value: () => input.value, isMain: true }, { text: '不允许', value: null }]
  const number = await dialog({ heading: '申请获取并验证你的手机号', body: [box], choices })
  return number ? { code: `${number}.${RANDOM()}`, errMsg: 'getPhoneNumber:ok' } : { errMsg: 'getPhoneNumber:fail user deny' }
}

module.exports = { ask, map, choosePicture, getPhoneNumber }
