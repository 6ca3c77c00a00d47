/** The bar at the top of each page: mark, title, what the page adds, and the settings that every page has. */
import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'

import { chooseLanguage, LANGUAGE_NAMES, LANGUAGES, language } from '../language'
import { shared } from '../texts'
import { chooseTheme, theme } from '../theme'
import { Icon } from './icon'
import { Mark } from './mark'
import { Choice } from './parts'
import { Sheet } from './sheet'

export function TopBar(props: {
  title: string
  /** Stands at the right, before the settings. */
  children?: ComponentChildren
  /** What the page adds to the settings sheet: its own switches, signing out. */
  settings?: ComponentChildren
}) {
  const open = useSignal(false)
  return (
    <header class="bar">
      <a class="skip" href="#content">{shared().toContent}</a>
      <span class="brand">
        <Mark />
        <span>{props.title}</span>
      </span>
      <span class="grow" />
      {props.children}
      <button type="button" class="icon-button" aria-label={shared().preferences} aria-haspopup="dialog" onClick={() => (open.value = true)}>
        <Icon name="settings" />
      </button>
      {open.value && (
        <Sheet title={shared().preferences} onClose={() => (open.value = false)}>
          <Preferences>{props.settings}</Preferences>
        </Sheet>
      )}
    </header>
  )
}

function Preferences({ children }: { children?: ComponentChildren }) {
  const t = shared()
  return (
    <div class="stack">
      <div class="field">
        <span class="label">{t.language}</span>
        <Choice
          label={t.language}
          options={LANGUAGES.map((each) => ({ value: each, text: LANGUAGE_NAMES[each], lang: each }))}
          chosen={language.value}
          onChoose={chooseLanguage}
        />
      </div>
      <div class="field">
        <span class="label">{t.appearance}</span>
        <Choice
          label={t.appearance}
          options={[
            { value: 'system', text: t.asSystem },
            { value: 'light', text: t.light },
            { value: 'dark', text: t.dark },
          ]}
          chosen={theme.value}
          onChoose={chooseTheme}
        />
      </div>
      {children}
    </div>
  )
}
