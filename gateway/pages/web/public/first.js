// Before the first paint: the theme and the language that were chosen on this device (src/shared/theme.ts, language.ts).
(function () {
  try {
    var theme = localStorage.getItem('tong.theme')
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
    var language = localStorage.getItem('tong.language')
    if (language) document.documentElement.lang = language
  } catch (refused) {
    document.documentElement.dataset.storage = 'refused'
  }
})()
