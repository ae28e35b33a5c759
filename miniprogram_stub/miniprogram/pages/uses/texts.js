module.exports = {
  zh: { title: '谁用了我的数据', none: '还没有部门查看过您的数据', saw: '查看内容' },
  en: { title: 'Who used my data', none: 'No office has looked at your data yet', saw: 'Saw' },
}
