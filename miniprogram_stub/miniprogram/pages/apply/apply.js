// The form of an item, for a new application or for one that has to be completed 补正.

const { ask } = require('../../core/api')
const applications = require('../../core/applications')
const forms = require('../../core/forms')
const i18n = require('../../core/i18n')
const outbox = require('../../core/outbox')
const { page } = require('../../core/page')
const problems = require('../../core/problem')
const time = require('../../core/time')
const drafts = require('./draft')
const papers = require('./papers')

const PAUSE_MS = 700 // after the last key
const TOGETHER = { household: ['household'] } // workflow -> roles of those who confirm too
const SENDING = ['applications.submit', 'applications.supply']

page({
  texts: require('./texts'),
  needsLogIn: true,
  data: { name: '', isSupplement: false, asked: '', lines: [], sources: [], materials: [], together: null, conflict: null, note: '', isQueued: false },

  onShow() {
    this.deaf = outbox.listen((news) => this.hear(news))
  },
  onHide() {
    this.deaf()
    this.save()
  },
  onUnload() {
    this.deaf()
    this.save()
  },

  async load(query) {
    const { record, view, isOld, isClosed, both } = await drafts.open(query)
    if (isClosed) {
      wx.redirectTo({ url: `/pages/application/application?id=${record.id}` })
      return {}
    }
    record.item = view ? view.item : record.item
    const [about, form] = await termsOf(record.item, view)
    this.record = record
    this.view = view
    this.item = about.data.item
    this.form = form.data
    this.faults = view ? forms.faultsOf(view.faults) : {}
    this.touched = this.touched || {}
    this.colliding = null
    if (both && both.length) await this.collide(both)
    const wanted = outbox.waiting().some((each) => SENDING.includes(each.name) && each.call.path.application === record.id)
    return { ...this.drawn(), isQueued: wanted, asOf: this.age({ isOld, at: about.at }) }
  },

  // What is drawn.

  drawn() {
    const { record, view, item, form } = this
    const { t } = this.data
    const brought = view ? view.brought : []
    const lacking = view ? view.missing : []
    const fields = form.ui.order.map((id) => form.ui.fields[id])
    const sources = papers.sourcesOf(item.materials, fields, brought, t, time.date)
    return {
      name: i18n.pick(item.name),
      isSupplement: Boolean(view) && view.state === 'supplement',
      asked: view && view.state === 'supplement' ? (view.timeline.filter((each) => each.note).pop() || { note: '' }).note : '',
      lines: forms.lines(form.ui, form.json_schema, record.form, this.errors(), (fill, id) => this.origin(fill, id, sources)),
      sources,
      materials: item.materials.filter((each) => forms.isShown(each.show_if, record.form)).map((each) => this.materialOf(each, brought, lacking)),
      together: TOGETHER[item.workflow] ? this.togetherOf(view) : null,
    }
  },

  draw() {
    if (this.form) this.setData(this.drawn())
  },

  /** What is wrong: with what was touched, or with all once somebody wanted to hand it in. */
  errors() {
    const { record, form } = this
    const here = forms.missing(form.ui, record.form, i18n.common().required)
    const there = Object.entries(this.faults).filter(([path]) => !(path in here))
    const found = this.isWanted ? { ...here, ...Object.fromEntries(there) } : Object.fromEntries(there)
    return Object.fromEntries(Object.entries(found).filter(([path]) => this.isWanted || this.touched[path] === 'saved'))
  },

  /** Where the value of a field may come from, or has come from; nothing once it was written over. */
  origin(fill, id, sources) {
    const { record, data: { t } } = this
    if (id in record.filled && !forms.isSame(record.form[id], record.filled[id])) return ''
    const source = sources.find(({ name }) => name === fill.split('.')[0])
    if (!source) return ''
    return source.isThere ? source.state : i18n.fill(t.mayCome, { source: source.title })
  },

  materialOf({ id, name, note, is_required: isRequired, source }, brought, lacking) {
    const { t } = this.data
    const here = brought.filter((each) => each.material === id)
    const fromSource = here.find(({ means }) => means === 'source')
    const from = fromSource && i18n.fill(t.from, { source: i18n.pick(source.title), day: time.date(fromSource.as_of_at || fromSource.at) })
    return {
      id,
      name: i18n.pick(name),
      note: note ? i18n.pick(note) : '',
      state: from || (here.length ? '' : isRequired ? t.lacking : t.optionalPaper),
      isThere: here.length > 0,
      isFree: Boolean(fromSource),
      isLacking: Boolean(this.isWanted) && lacking.includes(id),
      upload: i18n.fill(t.upload, { name: i18n.pick(name) }),
      files: here.filter(({ means }) => means === 'upload').map(({ ref, at }, index) => ({ ref, title: i18n.fill(t.fileOf, { number: index + 1, at: time.short(at) }) })),
    }
  },

  togetherOf(view) {
    const { t } = this.data
    const named = view ? view.agreements : []
    const people = (this.relatives || []).filter(({ account }) => !named.some((each) => each.account === account))
    return {
      named: named.map(({ id, answer, until }) => ({ id, title: t.answers[answer], note: answer === 'waiting' ? time.short(until) : '' })),
      people: people.map(({ account, name }) => ({ account, text: i18n.fill(t.invite, { name }) })),
    }
  },

  // What is filled in.

  change({ detail }) {
    const { record } = this
    record.form = forms.written(record.form, detail.name, detail.value)
    this.touched[detail.name] = 'written'
    delete this.faults[detail.name]
    this.changed()
  },

  addRow({ currentTarget }) {
    const { id } = currentTarget.dataset
    this.record.form = { ...this.record.form, [id]: [...(this.record.form[id] || []), {}] }
    this.changed()
  },

  dropRow({ currentTarget }) {
    const { id, at } = currentTarget.dataset
    this.record.form = { ...this.record.form, [id]: this.record.form[id].filter((_, index) => index !== Number(at)) }
    this.changed()
  },

  changed() {
    drafts.keep(this.record)
    this.draw()
    clearTimeout(this.soon)
    this.soon = setTimeout(() => this.save(), PAUSE_MS)
  },

  /** Write it to the server, one after the other. True if it is there; false if there is no network, or it collides. */
  save() {
    clearTimeout(this.soon)
    this.saving = (this.saving || Promise.resolve()).then(() => this.write()).catch((problem) => {
      if (problem.code !== 'offline') this.fail(problem)
      else this.setData({ note: this.data.t.keptHere })
      return false
    })
    return this.saving
  },

  async write() {
    if (!this.form || this.colliding || this.data.isQueued) return !this.colliding && !this.data.isQueued
    const { record, form } = this
    const sent = forms.cleaned(form.ui, record.form)
    if (!record.id && !Object.keys(sent).length && !this.mustBegin) return true
    try {
      const view = await drafts.save(record, sent)
      if (view) this.take(view)
    } catch (problem) {
      if (problem.status !== 412) throw problem
      return this.meet()
    }
    Object.keys(this.touched).forEach((path) => { this.touched[path] = 'saved' })
    this.draw()
    this.setData({ note: this.data.t.saved })
    return true
  },

  take(view) {
    this.view = view
    this.faults = forms.faultsOf(view.faults)
  },

  // Another device has written too.

  /** Put both together. True if they fit; else the person is asked. */
  async meet() {
    const { data } = await ask('applications.get', { path: { application: this.record.id } })
    const mine = this.record.form
    const both = drafts.adopt(this.record, data)
    this.take(data)
    if (both.length) return this.collide(both, mine)
    this.draw()
    const isTogether = await this.write()
    this.setData({ note: this.data.t.merged })
    return isTogether
  },

  collide(both) {
    const { ui } = this.form
    const { t } = this.data
    const words = (id, value) => wordsOf(ui.fields[id], value, t)
    this.colliding = both
    this.setData({
      conflict: both.filter((id) => ui.fields[id]).map((id) => ({
        id, label: i18n.pick(ui.fields[id].label), mine: words(id, this.record.form[id]), theirs: words(id, this.record.base[id]),
      })),
    })
    this.draw()
    return false
  },

  keepMine() {
    return this.settle(this.record.form)
  },

  takeTheirs() {
    const form = { ...this.record.form }
    this.colliding.forEach((id) => { form[id] = this.record.base[id] })
    return this.settle(form)
  },

  settle(form) {
    this.colliding = null
    this.record.form = form
    this.setData({ conflict: null, problem: null })
    this.changed()
    return this.save()
  },

  // Papers.

  /** What needs the application on the server: it is begun and written there first. */
  withServer(name, work) {
    return this.act(name, async () => {
      this.mustBegin = true
      if (!(await this.save())) {
        if (!this.colliding) wx.showToast({ title: this.data.t.needsNetwork, icon: 'none' })
        return
      }
      const view = await work(this.record.id)
      if (!view) return
      drafts.adopt(this.record, view)
      this.take(view)
      this.draw()
    })
  },

  askSource({ currentTarget: { dataset } }) {
    return this.withServer(`source ${dataset.name}`, async (id) => {
      const view = await papers.fromSource(id, dataset.name, this.data.t)
      const { fields } = this.form.ui
      const given = view ? Object.keys(view.form).filter((each) => fields[each].fill && fields[each].fill.split('.')[0] === dataset.name) : []
      given.forEach((each) => { this.record.filled[each] = view.form[each] })
      return view
    })
  },

  upload({ currentTarget: { dataset } }) {
    return this.withServer(`upload ${dataset.id}`, async (id) => {
      const file = await papers.choose(this.data.t)
      return file && papers.attach(id, dataset.id, file)
    })
  },

  detach({ currentTarget: { dataset } }) {
    return this.withServer('detach', (id) => papers.detach(id, dataset.ref))
  },

  // Those who apply together.

  showPeople() {
    return this.act('people', async () => {
      const { data } = await ask('relatives.list')
      this.relatives = data.relations.filter((each) => each.state === 'active' && each.account)
      if (!this.relatives.length) wx.showToast({ title: this.data.t.noRelatives, icon: 'none' })
      this.draw()
    })
  },

  invite({ currentTarget: { dataset } }) {
    const [role] = TOGETHER[this.item.workflow]
    return this.withServer('invite', async (application) =>
      (await ask('applications.invite', { path: { application }, body: { account: dataset.account, role }, version: drafts.etag(this.record.version) })).data)
  },

  uninvite({ currentTarget: { dataset } }) {
    return this.withServer('uninvite', async (application) =>
      (await ask('applications.uninvite', { path: { application, invitation: dataset.id } })).data)
  },

  // Handing in.

  submit() {
    return this.act('submit', async () => {
      this.isWanted = true
      this.mustBegin = true
      const isSaved = await this.save()
      this.draw()
      const wrong = Object.keys(this.errors()).length
      if (this.colliding) return
      if (wrong || (isSaved && this.view && this.view.missing.length)) {
        wx.showToast({ title: wrong ? i18n.fill(this.data.t.wrong, { count: wrong }) : this.data.t.papersLacking, icon: 'none' })
        wx.pageScrollTo({ selector: wrong ? '.faulty' : '#papers', fail() {} })
        return
      }
      await this.handIn(isSaved)
    })
  },

  /** One key for one version: however often it is sent, it is handed in once. */
  async handIn(isSaved) {
    const { record, form } = this
    if (!record.id) throw problems.offline()
    const path = { application: record.id }
    let { version } = record
    if (!isSaved) {
      const body = { form: forms.cleaned(form.ui, record.form) }
      const isChanged = !forms.isSame(body.form, record.base)
      if (isChanged && (await outbox.post('applications.save', { path, body, version: drafts.etag(version) }))) record.base = body.form
      if (isChanged) version += 1
    }
    const name = this.data.isSupplement ? 'applications.supply' : 'applications.submit'
    const key = `${name}-${record.id}-v${version}`
    try {
      const answer = await outbox.post(name, { path, version: drafts.etag(version), key })
      if (answer) this.done()
      else this.setData({ isQueued: true, queued: outbox.waiting().length })
    } catch (problem) {
      if (problem.status !== 412) throw problem
      if (await this.meet()) wx.showToast({ title: this.data.t.lookAgain, icon: 'none' })
    }
  },

  done() {
    drafts.forget(this.record)
    this.form = null // nothing is written any more
    wx.redirectTo({ url: `/pages/application/application?id=${this.record.id}` })
  },

  /** What waited was sent, or was refused. */
  hear({ entry, is, problem }) {
    if (is === 'waiting' || !this.record || entry.call.path.application !== this.record.id) return
    if (is === 'sent' && SENDING.includes(entry.name)) {
      this.done()
      return
    }
    if (is !== 'refused') return
    this.setData({ isQueued: false, queued: outbox.waiting().length, problem: problem.words })
    if (problem.status === 412) this.meet()
  },

  drop() {
    return this.act('drop', async () => {
      const { confirm } = await wx.showModal({ title: this.data.t.dropAsk })
      if (!confirm) return
      if (this.record.id) await ask('applications.drop', { path: { application: this.record.id }, version: drafts.etag(this.record.version) })
      applications.forget(this.record.id)
      drafts.forget(this.record)
      this.form = null
      wx.navigateBack({ fail: () => wx.reLaunch({ url: '/pages/home/home' }) })
    })
  },
})

/** The item and its form as they are on offer; an application keeps the version that it was begun with. */
async function termsOf(item, view) {
  const call = { path: { catalogue_item: item }, keep: true }
  const found = await Promise.all([ask('items.get', call), ask('items.form', call)])
  if (!view || found.every(({ data }) => data.version === view.item_version)) return found
  const versioned = { ...call, query: { version: view.item_version } }
  return Promise.all([ask('items.get', versioned), ask('items.form', versioned)])
}

/** An answer in words. */
function wordsOf(hint, value, t) {
  if (value === undefined || value === null || value === '') return t.empty
  if (hint.kind === 'rows') return i18n.fill(t.rows, { count: value.length })
  if (typeof value === 'boolean') return value ? t.yes : t.no
  if (hint.kind === 'money') return String(value / 100)
  const label = (one) => {
    const found = (hint.options || []).find((each) => each.value === one)
    return found ? i18n.pick(found.label) : String(one)
  }
  return (Array.isArray(value) ? value : [value]).map(label).join('、')
}
