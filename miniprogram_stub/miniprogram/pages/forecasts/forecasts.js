// The weather of my places, or of the districts for whoever has none here: now, by hour, by day, the air; and typhoons.

const { ask } = require('../../core/api')
const { page } = require('../../core/page')
const places = require('../../core/places')
const { optional } = require('../../core/problem')
const session = require('../../core/session')
const shapes = require('../../core/shapes')
const { forecastOf, nearness, typhoonOf } = require('../../core/weather')

page({
  texts: require('./texts'),
  data: { names: [], at: 0, shown: null, near: '', typhoons: [], isIn: false },

  async load() {
    const isIn = session.isIn()
    const [own, mine, typhoons] = await Promise.all([
      isIn ? places.mine() : null,
      isIn ? ask('forecasts.mine', { keep: true }) : null,
      optional(ask('typhoons.list', { keep: true })),
    ])
    const hasPlaces = mine && mine.data.places.length > 0
    const city = hasPlaces ? null : await ask('forecasts.list', { keep: true })
    this.found = hasPlaces ? this.ofPlaces(mine.data.places, own.places) : city.data.forecasts.map((forecast) => ({ name: forecast.name, forecast, typhoons: [] }))
    const markers = own ? own.places.map((place, index) => shapes.marker(index, place.point, place.name)).filter(Boolean) : []
    const { t } = this.data
    return {
      isIn,
      names: this.found.map((each) => each.name),
      typhoons: typhoons ? typhoons.data.typhoons.map((each) => typhoonOf(each, markers, t)) : [],
      ...this.chosen(Math.min(this.data.at, Math.max(this.found.length - 1, 0))),
      asOf: this.age(mine || city),
    }
  },

  /** Forecasts under the names of the own places. */
  ofPlaces(found, own) {
    return found.map(({ place, forecast, typhoons }) => {
      const known = own.find((each) => each.id === place)
      return { name: known ? `${known.name} (${known.where})` : forecast ? forecast.name : place, forecast, typhoons }
    })
  },

  chosen(at) {
    const { t } = this.data
    const found = this.found[at]
    return { at, shown: found && found.forecast ? forecastOf(found.forecast, t) : null, near: found ? nearness(found.typhoons, t) : '' }
  },

  pick({ detail }) {
    this.setData(this.chosen(detail.value))
  },
})
