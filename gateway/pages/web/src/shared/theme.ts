/** Light, dark or as the system says. Kept on the device; `public/first.js` applies it before the first paint. */
import { effect, signal } from '@preact/signals'

export type Theme = 'system' | 'light' | 'dark'
const KEPT_AS = 'tong.theme'

function kept(): Theme {
  const found = localStorage.getItem(KEPT_AS)
  return found === 'light' || found === 'dark' ? found : 'system'
}

export const theme = signal<Theme>(kept())
effect(() => {
  if (theme.value === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme.value
})

export function chooseTheme(chosen: Theme): void {
  localStorage.setItem(KEPT_AS, chosen)
  theme.value = chosen
}
