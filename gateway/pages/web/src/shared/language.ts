/**
 * The language of the page. Every text stands in a dictionary of all three languages: `dictionary` makes a missing or
 * misspelt text a type error. The choice is kept on the device; without one the browser's preference counts, which is
 * also what it sends as Accept-Language.
 */
import { effect, signal } from '@preact/signals'

export const LANGUAGES = ['zh-Hant', 'zh-Hans', 'en'] as const
export type Language = (typeof LANGUAGES)[number]
export const LANGUAGE_NAMES: Record<Language, string> = { 'zh-Hant': '繁體中文', 'zh-Hans': '简体中文', en: 'English' }

const KEPT_AS = 'tong.language'

/** The language spoken here that a tag such as `zh-TW` or `en-GB` asks for. */
export function languageOf(tag: string): Language | null {
  const parts = tag.toLowerCase().split('-')
  if (parts[0] === 'en') return 'en'
  if (parts[0] !== 'zh' && parts[0] !== 'yue') return null
  if (parts.includes('hans')) return 'zh-Hans'
  if (parts.includes('hant') || parts[0] === 'yue') return 'zh-Hant'
  return parts.some((part) => part === 'tw' || part === 'hk' || part === 'mo') ? 'zh-Hant' : 'zh-Hans'
}

function first(): Language {
  const kept = LANGUAGES.find((each) => each === localStorage.getItem(KEPT_AS))
  if (kept) return kept
  for (const tag of navigator.languages) {
    const found = languageOf(tag)
    if (found) return found
  }
  return 'zh-Hant'
}

export const language = signal<Language>(first())
effect(() => {
  document.documentElement.lang = language.value
})

export function chooseLanguage(chosen: Language): void {
  localStorage.setItem(KEPT_AS, chosen)
  language.value = chosen
}

/** Texts in all languages; the result gives those of the language of the moment and follows it within components. */
export function dictionary<T>(all: { en: T } & Record<'zh-Hant' | 'zh-Hans', NoInfer<T>>): () => T {
  return () => all[language.value]
}
