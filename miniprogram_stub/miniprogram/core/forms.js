// Forms as the catalogue describes them: what is shown, what is sent, what is missing. Pure: no request, no screen.
//
// `ui` and `schema` are those of GET /v1/items/{item}/form. A form is sent without what is hidden or empty; names of
// fields in rows are paths, as in the server's faults: `members[0].member_name`.

const i18n = require('./i18n')

const isEmpty = (value) => value === undefined || value === null || value === '' || (Array.isArray(value) && !value.length)

/** Whether an answer elsewhere shows this. `rule` is {field, among} or nothing. */
const isShown = (rule, form) => !rule || rule.among.includes(form[rule.field])

/** The form as it is sent. */
function cleaned(ui, form) {
  const found = {}
  for (const id of ui.order) {
    const hint = ui.fields[id]
    const value = form[id]
    if (isEmpty(value) || !isShown(hint.show_if, found)) continue
    found[id] = hint.kind === 'rows' ? value.map((row) => cleaned(hint, row)) : value
  }
  return found
}

/** Write `value` at a path: `name`, or `members[0].member_name`. Yields a new form. */
function written(form, path, value) {
  const inRow = /^(\w+)\[(\d+)\]\.(\w+)$/.exec(path)
  if (!inRow) return { ...form, [path]: value }
  const [, list, index, name] = inRow
  const rows = (form[list] || []).map((row, at) => (at === Number(index) ? { ...row, [name]: value } : row))
  return { ...form, [list]: rows }
}

/** What is required, shown and not there: path -> words. */
function missing(ui, form, words, above = '') {
  const found = {}
  for (const id of ui.order) {
    const hint = ui.fields[id]
    if (!isShown(hint.show_if, form)) continue
    if (hint.is_required && isEmpty(form[id])) found[above + id] = words
    if (hint.kind === 'rows') (form[id] || []).forEach((row, at) => Object.assign(found, missing(hint, row, words, `${above}${id}[${at}].`)))
  }
  return found
}

/** The server's faults by path, without the label that the field has anyway. */
function faultsOf(faults) {
  const found = {}
  for (const { field, detail } of faults) found[field.replace(/^form\.?/, '')] = detail.replace(/^[^：:]*(：|: )/, '')
  return found
}

/**
 * Fields as a page draws them. `schema` gives the longest text; `origin(fill, id)` says where a value may come from or has.
 *
 * @param {any} ui
 * @param {any} schema
 * @param {Record<string, any>} form
 * @param {Record<string, string>} errors
 * @param {(fill: string, id: string) => string} [origin]
 */
function lines(ui, schema, form, errors, origin = () => '', above = '') {
  return ui.order.filter((id) => isShown(ui.fields[id].show_if, form)).map((id) => {
    const hint = ui.fields[id]
    const rule = schema.properties[id] || {}
    const path = above + id
    const rows = hint.kind === 'rows' ? form[id] || [] : []
    return {
      path,
      id,
      kind: hint.kind,
      label: i18n.pick(hint.label),
      help: hint.help ? i18n.pick(hint.help) : '',
      options: (hint.options || []).map(({ value, label }) => ({ value, label: i18n.pick(label) })),
      most: rule.maxLength || 140,
      isRequired: hint.is_required,
      value: form[id] === undefined ? null : form[id],
      error: errors[path] || '',
      isFaulty: Object.keys(errors).some((each) => each === path || each.startsWith(`${path}[`)),
      origin: hint.fill ? origin(hint.fill, id) : '',
      mayAdd: hint.kind === 'rows' && rows.length < (rule.maxItems || 50),
      rows: rows.map((row, at) => ({ at, lines: lines(hint, rule.items, row, errors, undefined, `${path}[${at}].`) })),
    }
  })
}

const isSame = (a, b) => JSON.stringify(sortedKeys(a)) === JSON.stringify(sortedKeys(b))

function sortedKeys(value) {
  if (Array.isArray(value)) return value.map(sortedKeys)
  if (!value || typeof value !== 'object') return value
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sortedKeys(value[key])]))
}

/**
 * Two devices wrote over the same `base`: what only one of them changed is taken from it. `both` are the fields that
 * both changed, and differently; of these `form` holds mine.
 */
function merged(base, mine, theirs) {
  const form = {}
  const both = []
  for (const id of new Set([...Object.keys(mine), ...Object.keys(theirs)])) {
    const isMine = !isSame(mine[id], base[id])
    const isTheirs = !isSame(theirs[id], base[id])
    if (isMine && isTheirs && !isSame(mine[id], theirs[id])) both.push(id)
    const value = isMine ? mine[id] : theirs[id]
    if (value !== undefined) form[id] = value
  }
  return { form, both }
}

module.exports = { cleaned, written, missing, faultsOf, lines, merged, isShown, isSame }
