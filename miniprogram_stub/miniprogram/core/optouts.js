// What is switched off, as the server keeps it: `{topic, level, channel}`, "*" is all. What is not named is on.
//
// A page shows cells: one topic, one level, one channel. A dot makes a part: what switches off `alert` has switched off
// `alert.weather` too, and is undone there, not in the part.

const ANY = '*'
const CHANNELS = ['wechat', 'push', 'sms']

const fits = (own, asked) => own === ANY || own === asked
const within = (topic, above) => fits(above, topic) || topic.startsWith(`${above}.`)
const covers = (off, level, channel) => fits(off.level, level) && fits(off.channel, channel)

/** Whether a cell is off by what names this very topic. */
const isOff = (offs, topic, level, channel) => offs.some((off) => off.topic === topic && covers(off, level, channel))

/** Whether a cell is off by what lies above its topic. */
const isOffAbove = (offs, topic, level, channel) => offs.some((off) => off.topic !== topic && within(topic, off.topic) && covers(off, level, channel))

/** The cells of a topic that are off, as few lines. `levels`: those that can be switched. */
function lines(topic, levels, isCellOff) {
  const allOf = (level) => CHANNELS.every((channel) => isCellOff(level, channel))
  if (levels.every(allOf)) return [{ topic, level: ANY, channel: ANY }]
  const wholeChannels = CHANNELS.filter((channel) => levels.every((level) => isCellOff(level, channel)))
  const wholeLevels = levels.filter(allOf)
  const rest = levels.filter((level) => !wholeLevels.includes(level)).flatMap((level) =>
    CHANNELS.filter((channel) => !wholeChannels.includes(channel) && isCellOff(level, channel)).map((channel) => ({ topic, level, channel })))
  return [
    ...wholeChannels.map((channel) => ({ topic, level: ANY, channel })),
    ...wholeLevels.map((level) => ({ topic, level, channel: ANY })),
    ...rest,
  ]
}

/** `offs` after cells of a topic were switched: those for which `is(level, channel)` is true get `isOn`. */
function switched(offs, topic, levels, is, isOn) {
  const others = offs.filter((off) => off.topic !== topic)
  const isCellOff = (level, channel) => (is(level, channel) ? !isOn : isOff(offs, topic, level, channel))
  return [...others, ...lines(topic, levels, isCellOff)]
}

module.exports = { ANY, CHANNELS, isOff, isOffAbove, switched }
