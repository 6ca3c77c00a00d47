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

/** Whether the first Chinese of these tags is that of Hong Kong or Macau. */
export function ofHongKong(tags: readonly string[]): boolean {
  const chinese = tags.map((tag) => tag.toLowerCase().split('-')).find((parts) => parts[0] === 'zh' || parts[0] === 'yue')
  return chinese?.[0] === 'yue' || (chinese?.some((part) => part === 'hk' || part === 'mo') ?? false)
}

/** Words that Hong Kong has of its own, by those of Taiwan that the texts are written with. */
const HONG_KONG_WORDS: readonly (readonly [string, string])[] = [
  ['網路', '網絡'],
  ['螢幕', '屏幕'],
  ['行程', '進程'],
]

/** The same texts with these words: of strings, of what functions of texts return, and of everything within. */
export function inHongKong<T>(texts: T): T {
  if (typeof texts === 'string')
    return HONG_KONG_WORDS.reduce<string>((text, [taiwan, hongKong]) => text.replaceAll(taiwan, hongKong), texts) as T
  if (typeof texts === 'function') {
    const say = texts as unknown as (...given: unknown[]) => unknown
    return ((...given: unknown[]) => inHongKong(say(...given))) as T
  }
  if (Array.isArray(texts)) return texts.map(inHongKong) as T
  if (typeof texts === 'object' && texts !== null)
    return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, inHongKong(text)])) as T
  return texts
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
  const hant = ofHongKong(navigator.languages) ? inHongKong(all['zh-Hant']) : all['zh-Hant']
  return () => (language.value === 'zh-Hant' ? hant : all[language.value])
}
