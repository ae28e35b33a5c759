// The API reference: reads /openapi.json and shows it. No text of the contract is ever taken for markup.
const METHODS = ["get", "post", "put", "patch", "delete"];
const SAY = {
  zh: {
    skip: "跳到接口列表", find: "查找", who: "谁可调用", all: "全部", schemas: "数据结构", other: "English", tags: "目录",
    parameters: "参数", body: "请求内容", answers: "应答", required: "必填", example: "示例", entry: "谁可调用",
    shown: (n) => `共 ${n} 个接口`, failed: "无法读取 /openapi.json，请稍后重试。",
    people: { public: "任何人", citizen: "市民", officer: "工作人员", partner: "合作单位", provider: "通道服务商", operator: "运维" },
  },
  en: {
    skip: "Skip to the operations", find: "Find", who: "Who may call", all: "everybody's", schemas: "Schemas",
    other: "中文", tags: "Contents", parameters: "Parameters", body: "Body", answers: "Answers", required: "required",
    example: "Example", entry: "Who may call", shown: (n) => `${n} operations`,
    failed: "/openapi.json cannot be read; try again later.",
    people: { public: "everybody", citizen: "citizens", officer: "officers", partner: "partners", provider: "providers", operator: "operators" },
  },
};
const byId = (id) => document.getElementById(id);
let language = /(^|[?&])lang=en\b/.test(location.search) || !/^zh/i.test(navigator.language) ? "en" : "zh";
let contract = null;

/** An element with attributes and children; strings become text. */
function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

const anchor = (text) => text.replace(/[^A-Za-z0-9]+/g, "-");
const resolved = (found) => (found.$ref ? found.$ref.slice(2).split("/").reduce((at, step) => at[step], contract) : found);
const entryOf = (operation) => /^Entry: (\w+)/.exec(operation.description)?.[1] ?? "";

/** What a schema is, in a few words; names of other schemas are links. */
function typeOf(schema) {
  if (schema.$ref) {
    const name = schema.$ref.split("/").at(-1);
    return make("a", { href: `#schema-${anchor(name)}` }, name);
  }
  const alternatives = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (alternatives) {
    return make("span", {}, ...alternatives.flatMap((each, n) => (n ? [" | ", typeOf(each)] : [typeOf(each)])));
  }
  if (schema.type === "array") return make("span", {}, "[", schema.items ? typeOf(schema.items) : "", "]");
  if (schema.const !== undefined) return make("code", {}, JSON.stringify(schema.const));
  if (schema.enum) return make("code", {}, schema.enum.map((value) => JSON.stringify(value)).join(" | "));
  return make("code", {}, [schema.type ?? "any", schema.format].filter(Boolean).join(", "));
}

const BOUNDS = ["pattern", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "minItems", "maxItems", "default"];

/** One line of a list of fields: the name, what it is, what it is for. */
function field(name, schema, required, description) {
  const inner = schema.anyOf?.find((each) => each.type !== "null") ?? schema;
  const bounds = BOUNDS.filter((key) => (schema[key] ?? inner[key]) !== undefined)
    .map((key) => `${key} ${JSON.stringify(schema[key] ?? inner[key])}`);
  const told = [required ? SAY[language].required : "", description ?? "", bounds.join(", ")].filter(Boolean).join(" · ");
  return [
    make("dt", {}, make("code", {}, name)),
    make("dd", {}, typeOf(schema), told ? " " : null, told ? make("span", { class: "quiet" }, told) : null),
  ];
}

function fields(schema) {
  const entries = Object.entries(schema.properties ?? {});
  if (!entries.length) return make("p", {}, typeOf(schema));
  return make("dl", {}, ...entries.flatMap(([name, each]) =>
    field(name, each, schema.required?.includes(name), each.description)));
}

function example(value) {
  if (value === undefined) return null;
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  // What scrolls can be reached by keyboard, and so has a name.
  return make("pre", { tabindex: "0", role: "region", "aria-label": SAY[language].example }, text);
}

function contents(content = {}) {
  return Object.entries(content).flatMap(([kind, media]) => [
    make("p", {}, make("code", {}, kind), " ", media.schema?.$ref ? typeOf(media.schema) : ""), example(media.example),
  ]);
}

function showOperation(path, item, method) {
  const said = SAY[language], operation = item[method], who = entryOf(operation);
  const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(resolved);
  const details = make("div", {},
    make("p", {}, `${said.entry}: ${said.people[who] ?? who}`, " ",
      make("span", { class: "quiet" }, operation.description.replace(/^Entry: \w+ ?/, ""))));
  if (parameters.length) {
    details.append(make("h4", {}, said.parameters), make("dl", {}, ...parameters.flatMap((each) =>
      field(`${each.name} (${each.in})`, each.schema, each.required, each.description))));
  }
  if (operation.requestBody) {
    details.append(make("h4", {}, said.body), ...contents(operation.requestBody.content).filter(Boolean));
  }
  details.append(make("h4", {}, said.answers));
  for (const [status, answer] of Object.entries(operation.responses)) {
    const good = status < "300";
    details.append(make("p", {}, make("strong", {}, status), " ", answer.description),
      ...(good ? contents(answer.content).filter(Boolean) : []));
  }
  return make("details", { id: operation.operationId, "data-who": who, "data-text": `${method} ${path} ${operation.summary}`.toLowerCase() },
    make("summary", {}, make("span", { class: `method ${method}` }, method.toUpperCase()), make("code", {}, path), " ",
      make("span", { lang: "en" }, operation.summary)),
    details);
}

function show() {
  const said = SAY[language], groups = new Map();
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const each of document.querySelectorAll("[data-say]")) each.textContent = said[each.dataset.say];
  byId("language").textContent = said.other;
  byId("language").lang = language === "zh" ? "en" : "zh-CN";
  byId("tags").setAttribute("aria-label", said.tags);
  for (const each of byId("who").options) if (each.value) each.textContent = said.people[each.value] ?? each.value;
  if (!contract) return;
  for (const [path, item] of Object.entries(contract.paths)) {
    for (const method of METHODS.filter((name) => item[name])) {
      const tag = item[method].tags[0];
      groups.set(tag, [...(groups.get(tag) ?? []), showOperation(path, item, method)]);
    }
  }
  byId("tags").replaceChildren(make("ul", {}, ...[...groups.keys()].map((tag) =>
    make("li", {}, make("a", { href: `#tag-${anchor(tag)}` }, tag)))));
  byId("operations").replaceChildren(...[...groups].map(([tag, operations]) =>
    make("section", { "aria-labelledby": `tag-${anchor(tag)}` }, make("h2", { id: `tag-${anchor(tag)}` }, tag), ...operations)));
  byId("schemas").replaceChildren(byId("schemas-title"), ...Object.entries(contract.components.schemas).map(([name, schema]) =>
    make("details", { id: `schema-${anchor(name)}` }, make("summary", {}, make("code", {}, name)),
      make("div", {}, schema.description ? make("p", { lang: "en" }, schema.description) : null, fields(schema), example(schema.example)))));
  narrow();
}

/** Show what is looked for; who looks for nothing sees all. */
function narrow() {
  const words = byId("find").value.toLowerCase().split(/\s+/).filter(Boolean), who = byId("who").value;
  let shown = 0;
  for (const each of document.querySelectorAll("#operations details")) {
    each.hidden = !(words.every((word) => each.dataset.text.includes(word)) && (!who || each.dataset.who === who));
    shown += each.hidden ? 0 : 1;
  }
  for (const each of document.querySelectorAll("#operations section")) each.hidden = !each.querySelector("details:not([hidden])");
  byId("status").textContent = SAY[language].shown(shown);
}

/** Who follows a link to something folded sees it. */
function unfold() {
  const target = location.hash.length > 1 ? byId(decodeURIComponent(location.hash.slice(1))) : null;
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
  }
}

byId("find").addEventListener("input", narrow);
byId("who").addEventListener("change", narrow);
byId("language").addEventListener("click", () => { language = language === "zh" ? "en" : "zh"; show(); });
window.addEventListener("hashchange", unfold);
show();
try {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(String(answer.status));
  contract = await answer.json();
  const people = new Set(Object.values(contract.paths).flatMap((item) => METHODS.filter((m) => item[m]).map((m) => entryOf(item[m]))));
  byId("who").append(...[...people].map((who) => make("option", { value: who }, who)));
  byId("version").textContent = contract.info.version;
  byId("description").textContent = contract.info.description;
  show();
  unfold();
} catch {
  byId("status").textContent = SAY[language].failed;
}
