// The built-in components that show something: pictures, links, scrolling, a map without a network.

const { text, flag, number, any, make } = require('./controls.js')
const { files } = require('./net.js')

const SVG = 'http://www.w3.org/2000/svg'
const FAR_PX = 50 // from the end: the default of lower-threshold

const draw = (tag, attributes) => {
  const element = document.createElementNS(SVG, tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  return element
}

/** Where a picture is: its own ones lie beside the script, temporary ones in memory. */
function address(src) {
  const file = files.get(src)
  if (file) return URL.createObjectURL(file.blob)
  return src.startsWith('/images/') ? `/mini/${src.split('/').at(-1)}` : src
}

const FIT = { aspectFit: 'contain', aspectFill: 'cover', scaleToFill: 'fill', widthFix: 'contain', heightFix: 'contain' }

const image = {
  properties: { src: text(), mode: text('scaleToFill'), lazyLoad: flag(), showMenuByLongpress: flag(), webp: flag() },
  attached(host, self) {
    const inner = make('img', { alt: '' })
    inner.onload = () => self.tell('load', { width: inner.naturalWidth, height: inner.naturalHeight })
    inner.onerror = () => self.tell('error', { errMsg: 'image:fail' })
    host.append(inner)
  },
  changed: {
    src: (value, host) => { if (value) host.firstElementChild.src = address(value) },
    mode: (value, host) => {
      host.setAttribute('mode', value)
      host.firstElementChild.style.objectFit = FIT[value] ?? 'fill'
    },
    ariaLabel: (value, host) => { host.firstElementChild.alt = value },
  },
}

const VERBS = { navigate: 'navigateTo', redirect: 'redirectTo', switchTab: 'switchTab', reLaunch: 'reLaunch', navigateBack: 'navigateBack' }

const navigator = {
  properties: { url: text(), openType: text('navigate'), delta: number(1), target: text('self'), hoverClass: text() },
  attached(host, self) {
    host.setAttribute('role', 'link')
    host.tabIndex = 0
    self.component.addListener('tap', () => window.wx[VERBS[self.data.openType]]({ url: self.data.url, delta: self.data.delta }))
  },
}

const scrollView = {
  properties: {
    scrollX: flag(), scrollY: flag(), scrollTop: number(0), scrollLeft: number(0), scrollIntoView: text(), lowerThreshold: number(FAR_PX),
    enhanced: flag(), showScrollbar: flag(true), enableFlex: flag(), refresherEnabled: flag(), refresherTriggered: flag(),
  },
  attached(host, self) {
    let wasLow = false
    host.tabIndex = 0 // whoever has no mouse scrolls by keys
    host.addEventListener('scroll', () => {
      self.tell('scroll', { scrollTop: host.scrollTop, scrollLeft: host.scrollLeft })
      const isLow = host.scrollHeight - host.clientHeight - host.scrollTop <= self.data.lowerThreshold
      if (isLow && !wasLow) self.tell('scrolltolower', { direction: 'bottom' })
      wasLow = isLow
    })
  },
  changed: {
    scrollX: (value, host) => host.toggleAttribute('scroll-x', value),
    scrollY: (value, host) => host.toggleAttribute('scroll-y', value),
    scrollTop: (value, host) => { host.scrollTop = value },
    scrollIntoView: (value, host) => { if (value) host.querySelector(`#${CSS.escape(value)}`)?.scrollIntoView() },
  },
}

/** The box around all that is shown, in GCJ-02 degrees; a little wider than what lies in it. */
function extent({ latitude, longitude, markers, polygons, circles, polyline }) {
  const points = [
    ...polyline.flatMap((each) => each.points.map((point) => [point.longitude, point.latitude])),
    ...markers.map((each) => [each.longitude, each.latitude]),
    ...polygons.flatMap((each) => each.points.map((point) => [point.longitude, point.latitude])),
    ...circles.flatMap(({ longitude: x, latitude: y, radius }) => [[x - radius / 1e5, y - radius / 1.1e5], [x + radius / 1e5, y + radius / 1.1e5]]),
  ]
  if (!points.length) points.push([longitude, latitude])
  const xs = points.map(([x]) => x)
  const ys = points.map(([, y]) => y)
  const side = Math.max(0.02, Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys)) * 1.2
  return { x: (Math.min(...xs) + Math.max(...xs)) / 2 - side / 2, y: (Math.min(...ys) + Math.max(...ys)) / 2 - side / 2, side }
}

/** A drawing of the shapes on a plain ground: tiles would come from another site. */
function drawMap(host, { data }) {
  const box = extent(data)
  const at = ({ longitude, latitude }) => [((longitude - box.x) / box.side) * 1000, (1 - (latitude - box.y) / box.side) * 1000]
  const picture = draw('svg', { viewBox: '0 0 1000 1000', preserveAspectRatio: 'xMidYMid slice', 'aria-hidden': 'true' })
  for (const polygon of data.polygons) {
    const points = polygon.points.map((point) => at(point).join(',')).join(' ')
    picture.append(draw('polygon', { points, fill: colour(polygon.fillColor), stroke: colour(polygon.strokeColor), 'stroke-width': 4 }))
  }
  for (const line of data.polyline) {
    const points = line.points.map((point) => at(point).join(',')).join(' ')
    const dashes = line.dottedLine ? { 'stroke-dasharray': '12 10' } : {}
    picture.append(draw('polyline', { points, fill: 'none', stroke: colour(line.color), 'stroke-width': 6, ...dashes }))
  }
  for (const circle of data.circles) {
    const [cx, cy] = at(circle)
    picture.append(draw('circle', { cx, cy, r: (circle.radius / 1.1e5 / box.side) * 1000, fill: colour(circle.fillColor), stroke: colour(circle.color), 'stroke-width': 4 }))
  }
  for (const marker of data.markers) {
    const [cx, cy] = at(marker)
    picture.append(draw('circle', { cx, cy, r: 14, fill: '#07c160', stroke: '#fff', 'stroke-width': 5 }))
  }
  host.replaceChildren(picture)
}

const colour = (value) => value ?? 'rgba(20,80,160,.25)'

const map = {
  properties: {
    latitude: number(22.54), longitude: number(114.06), scale: number(12), markers: any([]), polygons: any([]), circles: any([]),
    includePoints: any([]), showLocation: flag(), enableScroll: flag(true), enableZoom: flag(true), polyline: any([]), subkey: text(),
  },
  attached: (host, self) => {
    host.setAttribute('role', 'img')
    drawMap(host, self)
  },
  changed: Object.fromEntries(['markers', 'polygons', 'circles', 'polyline'].map((name) => [name, (_value, host, self) => drawMap(host, self)])),
}

const progress = {
  properties: { percent: number(0), showInfo: flag(), activeColor: text(), strokeWidth: number(6), active: flag() },
  attached: (host) => host.append(make('progress', { max: 100, ariaLabel: '进度' })),
  changed: { percent: (value, host) => { host.firstElementChild.value = value } },
}

const swiper = {
  properties: { current: number(0), autoplay: flag(), interval: number(5000), circular: flag(), indicatorDots: flag(), vertical: flag() },
  attached(host, self) {
    host.tabIndex = 0
    host.addEventListener('scrollend', () => self.tell('change', { current: Math.round(host.scrollLeft / host.clientWidth), source: 'touch' }))
  },
}

const definitions = () => ({
  image,
  navigator,
  'scroll-view': scrollView,
  map,
  progress,
  swiper,
  icon: { properties: { type: text(), size: any(23), color: text() }, changed: { type: (value, host) => host.setAttribute('type', value) } },
})

module.exports = { definitions }
