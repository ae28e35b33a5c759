// Forecasts and typhoons as pages show them.

const { toMap } = require('./datum')
const i18n = require('./i18n')
const shapes = require('./shapes')
const time = require('./time')

const HOURS = 24
const DAYS = 7
const SEEN = 12 // points of a typhoon's way that a table shows
const WEEKDAY = 7
const [INK, DANGER] = ['#1a1a1a', '#b3121d']

const degrees = (value) => `${Math.round(value)}°`
const percent = (value) => (value === null ? '' : `${value}%`)

/** "Tue 24" of a day as the server writes it: 2026-11-24. */
function dayWords(day, words) {
  const [year, month, date] = day.split('-').map(Number)
  return `${words.weekdays[new Date(Date.UTC(year, month - 1, date)).getUTCDay() % WEEKDAY]} ${month}-${date}`
}

/** A forecast: now, hours, days. `words`: the page's. */
function forecastOf(forecast, words) {
  const sky = (name) => forecast.skies[name] || ''
  const hours = forecast.hours.slice(0, HOURS).map((each) => ({
    at: each.at, clock: time.clock(each.at), sky: sky(each.sky), degrees: degrees(each.temperature_c), rain: percent(each.rain_percent),
  }))
  const days = forecast.days.slice(0, DAYS).map((each) => ({
    day: each.day,
    name: dayWords(each.day, words),
    sky: each.sky === each.night_sky ? sky(each.sky) : `${sky(each.sky)} / ${sky(each.night_sky)}`,
    degrees: `${degrees(each.low_c)} – ${degrees(each.high_c)}`,
    rain: percent(each.rain_percent),
  }))
  return {
    name: forecast.name,
    now: hours[0] || null,
    hours,
    days,
    air: forecast.air ? `${forecast.air.aqi} ${forecast.air_quality || ''}` : '',
    asOf: time.short(forecast.as_of),
    isStale: forecast.is_stale,
  }
}

const lineOf = (points, color, dottedLine) => ({ points: points.map((point) => toMap(point.lat, point.lon)), color, width: 4, dottedLine })

const rowOf = (point, kind, words) => ({
  key: `${kind} ${point.at}`,
  kind,
  at: time.short(point.at),
  where: `${point.lat.toFixed(1)}°N ${point.lon.toFixed(1)}°E`,
  strength: words.strengths[point.strength] || '',
  wind: point.wind_ms === null ? '' : `${Math.round(point.wind_ms)} m/s`,
})

/** A typhoon: its way as lines on a map, and the same in a table. `places`: markers of one's own. */
function typhoonOf({ id, name, strength, observed, forecast, as_of: asOf }, places, words) {
  const last = observed[observed.length - 1]
  const lines = [lineOf(observed, INK, false), lineOf([last, ...forecast], DANGER, true)].filter((line) => line.points.length > 1)
  const centre = shapes.marker(1000, last, name)
  const rows = [...observed.slice(-SEEN / 2).map((point) => rowOf(point, 'seen', words)), ...forecast.slice(0, SEEN).map((point) => rowOf(point, 'expected', words))]
  return { id, title: `${name} ${strength || ''}`.trim(), asOf: time.short(asOf), map: shapes.view({ markers: [centre, ...places], lines }), rows }
}

/** How near those are that a place has, by their ids. */
const nearness = (near, words) => near.map(({ name, distance_km: km }) => i18n.fill(words.near, { name, km })).join(i18n.common().comma)

module.exports = { forecastOf, typhoonOf, nearness }
