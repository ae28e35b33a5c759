// What maps draw: the area of an alert, places, the way of a typhoon. All of the server's is WGS-84.

const { toMap } = require('./datum')

const FILLS = { red: ['#b3121d40', '#b3121d'], orange: ['#ff9d2e59', '#7a3b00'], yellow: ['#ffe14d66', '#5c4d00'], blue: ['#0b57b040', '#0b57b0'] }
const MOST_POINTS = 300 // of one ring: more than that nobody sees on a telephone

/** Every n-th of too many points, and the last. */
function thin(points) {
  const step = Math.ceil(points.length / MOST_POINTS)
  return points.filter((_, index) => index % step === 0 || index === points.length - 1)
}

const drawn = (points, level) => {
  const [fillColor, strokeColor] = FILLS[level] || FILLS.blue
  return { points: thin(points), fillColor, strokeColor, strokeWidth: 2 }
}

/** A GeoJSON geometry of areas (RFC 7946: longitude first), as `polygons` of a map; outer rings only. */
function polygons(geometry, level) {
  if (!geometry) return []
  const found = { Polygon: (each) => [each], MultiPolygon: (each) => each }[geometry.type]
  const rings = found ? found(geometry.coordinates).map(([outer]) => outer) : []
  return rings.map((ring) => drawn(ring.map(([lon, lat]) => toMap(lat, lon)), level))
}

/** The polygons of a CAP area: "lat,lon lat,lon ...". */
function capPolygons(areas, level) {
  const pairs = (text) => text.split(/\s+/).map((pair) => pair.split(',').map(Number))
  return areas.flatMap((area) => area.polygons).map((text) => drawn(pairs(text).map(([lat, lon]) => toMap(lat, lon)), level))
}

/** The circles of a CAP area: "lat,lon km". */
function capCircles(areas, level) {
  const [fillColor, color] = FILLS[level] || FILLS.blue
  return areas.flatMap((area) => area.circles).map((text) => {
    const [point, km] = text.split(/\s+/)
    const [lat, lon] = point.split(',').map(Number)
    return { ...toMap(lat, lon), radius: Number(km) * 1000, fillColor, color, strokeWidth: 2 }
  })
}

/** A place as a marker; null if nobody knows its point. */
function marker(id, point, title) {
  return point ? { id, ...toMap(point.lat, point.lon), title, width: 24, height: 32 } : null
}

const middleOf = (values) => (Math.min(...values) + Math.max(...values)) / 2

/** What `<map>` needs to show all of it: its middle and the points to include. Null: nothing is to be seen. */
function view({ polygons: areas = [], circles = [], markers = [], lines = [] }) {
  const points = [...areas.flatMap((each) => each.points), ...circles, ...markers, ...lines.flatMap((each) => each.points)]
    .map(({ latitude, longitude }) => ({ latitude, longitude }))
  if (!points.length) return null
  return {
    latitude: middleOf(points.map((each) => each.latitude)),
    longitude: middleOf(points.map((each) => each.longitude)),
    points,
    polygons: areas,
    circles,
    markers,
    lines,
  }
}

module.exports = { polygons, capPolygons, capCircles, marker, view }
