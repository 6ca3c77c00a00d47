/**
 * The keyboard wedge: a scanner that types what it reads. Its bursts are recognised anywhere on the page, by their speed:
 * a person needs 60 ms and more for a key, a scanner 1 to 30. With Enter or Tab at the end or without (then a short
 * silence ends it). What a person types is left alone: into a field it goes as ever, elsewhere it is told key by key.
 */

export const GAP_MS = 50
export const SILENCE_MS = 120
export const SHORTEST = 12
export const LONGEST = 512

export interface Heard {
  /** A whole burst. */
  onCode: (text: string) => void
  /** A key of a person, outside of fields. */
  onKey?: (key: string) => void
}

export interface Wedge {
  stop(): void
}

/** Looks like something a member shows: 18 digits, a JWT, or a code of an enrolled device. */
export function looksLikeCode(text: string): boolean {
  return /^\d{18}$/.test(text) || /^[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}$/.test(text) || /^o\d\.[\w.-]{16,}$/.test(text)
}

interface Field {
  element: HTMLInputElement
  /** What stood in it before the burst. */
  before: string
}

export function listen({ onCode, onKey }: Heard): Wedge {
  let burst = ''
  let last = -Infinity
  let field: Field | null = null
  let held: string[] = []
  let silence: ReturnType<typeof setTimeout> | undefined
  let person: ReturnType<typeof setTimeout> | undefined

  function forget(): void {
    clearTimeout(silence)
    burst = ''
    field = null
  }

  /** The first keys of a burst may have gone into a field before it was known to be one: they are taken back. */
  function takeBack(): void {
    if (!field || field.element.value === field.before) return
    field.element.value = field.before
    field.element.dispatchEvent(new Event('input', { bubbles: true }))
  }

  function ended(text: string): void {
    held = []
    takeBack()
    forget()
    onCode(text)
  }

  function letGo(): void {
    const keys = held
    held = []
    keys.forEach((key) => onKey?.(key))
  }

  function pressed(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || event.key === 'Shift') return
    const quick = event.timeStamp - last <= GAP_MS
    last = event.timeStamp
    const target = event.target
    const editable = target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement
    if (event.key === 'Enter' || event.key === 'Tab') {
      const text = burst.trim()
      if (quick && text.length >= SHORTEST && text.length <= LONGEST) {
        event.preventDefault()
        event.stopPropagation()
        ended(text)
      } else forget()
      return
    }
    if (event.key.length !== 1) {
      if (event.key === 'Backspace' && !editable) onKey?.('Backspace')
      forget()
      return
    }
    if (quick && burst !== '') burst = (burst + event.key).slice(0, LONGEST + 1)
    else {
      forget()
      burst = event.key
      field = target instanceof HTMLInputElement ? { element: target, before: target.value } : null
    }
    clearTimeout(silence)
    if (burst.length >= SHORTEST)
      silence = setTimeout(() => (looksLikeCode(burst.trim()) ? ended(burst.trim()) : forget()), SILENCE_MS)
    // From the fourth quick key on it is no person: kept out of fields, and no space presses a button.
    if (burst.length >= 4) {
      event.preventDefault()
      held = []
    } else if (!editable && onKey) {
      held.push(event.key)
      clearTimeout(person)
      person = setTimeout(letGo, GAP_MS + 10)
      if (event.key === ' ' && burst.length > 1) event.preventDefault()
    }
  }

  window.addEventListener('keydown', pressed, { capture: true })
  return {
    stop() {
      forget()
      clearTimeout(person)
      window.removeEventListener('keydown', pressed, { capture: true })
    },
  }
}
