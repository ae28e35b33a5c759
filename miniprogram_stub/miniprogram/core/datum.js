// WGS-84, in which the server speaks, as GCJ-02, in which maps of China are drawn: 100 to 700 m apart.

const AXIS_M = 6378245
const FLATTENING = 0.00669342162296594323

const wave = (x, unit, sizes) => (sizes[0] * Math.sin((x / unit[0]) * Math.PI) + sizes[1] * Math.sin((x / unit[1]) * Math.PI)) * 2 / 3

function north(x, y) {
  const plain = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * Math.sqrt(Math.abs(x))
  return plain + wave(x, [1 / 6, 1 / 2], [20, 20]) + wave(y, [1, 3], [20, 40]) + wave(y, [12, 30], [160, 320])
}

function east(x, y) {
  const plain = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * Math.sqrt(Math.abs(x))
  return plain + wave(x, [1 / 6, 1 / 2], [20, 20]) + wave(x, [1, 3], [20, 40]) + wave(x, [12, 30], [150, 300])
}

/** Degrees north and east of WGS-84 -> a point as maps take it. */
function toMap(lat, lon) {
  const angle = (lat / 180) * Math.PI
  const magic = 1 - FLATTENING * Math.sin(angle) ** 2
  const degreesNorth = ((AXIS_M * (1 - FLATTENING)) / (magic * Math.sqrt(magic)) / 180) * Math.PI
  const degreesEast = ((AXIS_M / Math.sqrt(magic)) * Math.cos(angle) / 180) * Math.PI
  return {
    latitude: lat + north(lon - 105, lat - 35) / degreesNorth,
    longitude: lon + east(lon - 105, lat - 35) / degreesEast,
  }
}

module.exports = { toMap }
