// The tags that WeChat itself brings. In a browser `view` is `wx-view`, so that no HTML of the same name interferes.

const PLAIN = ['view', 'text', 'cover-view', 'rich-text', 'canvas', 'picker-view', 'root-portal', 'slot-wrapper']
const ALIVE = [
  'button', 'checkbox', 'checkbox-group', 'form', 'icon', 'image', 'input', 'label', 'map', 'navigator', 'picker',
  'progress', 'radio', 'radio-group', 'scroll-view', 'slider', 'swiper', 'swiper-item', 'switch', 'textarea',
]

module.exports = { PLAIN, ALIVE, BUILT_IN: new Set([...PLAIN, ...ALIVE]) }
