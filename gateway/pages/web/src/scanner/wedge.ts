/**
 * The keyboard wedge: a scanner that types what it reads. Its bursts are recognised anywhere on the page, by their speed
 * and by what they say: a person needs 60 ms and more for a key, a scanner on a cable 1 to 30, one on Bluetooth now and
 * then 100 and more. So keys belong together up to `SLOW_GAP_MS`; what is faster than a person is a scanner's, and what
 * is slower counts where it is a code. With Enter or Tab at the end or without (then a silence ends it). What a person
 * types is left alone: into a field it goes as ever, elsewhere it is told key by key, and is taken back where it turns
 * out to have been the beginning of a code.
 */
import { CODE_CHARACTERS_MAX } from '../shared/limits'
import { MODIFIERS, codeOf, isWhole, isTakenByInputMethod, strokeOf, type Stroke } from './keystrokes'

export const GAP_MS = 50
export const SLOW_GAP_MS = 300
export const SILENCE_MS = 120
export const LONG_SILENCE_MS = 450
export const SHORTEST = 12
/** Quick keys in a row that no person presses. */
const MACHINE_KEYS = 4

export { looksLikeCode } from './keystrokes'

export interface Heard {
  /** A whole burst. */
  onCode: (text: string) => void
  /** A key of a person, outside of fields. */
  onKey?: (key: string) => void
  /** Called before keys are told; what it returns takes back the keys that were told since. */
  onMark?: () => () => void
  /** A scanner typed, and an input method swallowed it. */
  onUnreadable?: () => void
}

export interface Wedge {
  stop(): void
}

/** A place in the burst where a code may begin: after each gap that is longer than a scanner on a cable needs. */
interface Mark {
  at: number
  takeBack: () => void
}

interface Found {
  text: string
  mark: Mark
  strokes: readonly Stroke[]
}

export function listen({ onCode, onKey, onMark, onUnreadable }: Heard): Wedge {
  let strokes: Stroke[] = []
  let marks: Mark[] = []
  let last = -Infinity
  let quickKeys = 0
  let isMachine = false
  let inField = false
  let held: string[] = []
  let silence: ReturnType<typeof setTimeout> | undefined
  let person: ReturnType<typeof setTimeout> | undefined
  /** Until when a terminator still belongs to a code that was taken: no Enter of a scanner presses a button. */
  let endsUntil = -Infinity

  function forget(): void {
    clearTimeout(silence)
    strokes = []
    marks = []
    quickKeys = 0
    isMachine = false
  }

  function letGo(): void {
    clearTimeout(person)
    const keys = held
    held = []
    keys.forEach((key) => onKey?.(key))
  }

  /** Puts back what stood in the field, or what was told, before the keys from here on. */
  function markHere(target: EventTarget | null): Mark {
    const restore = onMark?.()
    if (!(target instanceof HTMLInputElement)) return { at: strokes.length, takeBack: () => restore?.() }
    const before = target.value
    const write = () => {
      if (target.value === before) return
      target.value = before
      target.dispatchEvent(new Event('input', { bubbles: true }))
    }
    return {
      at: strokes.length,
      takeBack: () => {
        const composed = strokes.some((each) => each.typed === '')
        if (composed) target.blur() // ends the composition, whose text arrives a moment later
        write()
        if (composed) setTimeout(write, 0)
      },
    }
  }

  /** A code that ends here, from the first mark it can begin at. */
  function found(): Found | null {
    for (const mark of marks) {
      const own = strokes.slice(mark.at)
      const text = own.length <= CODE_CHARACTERS_MAX ? codeOf(own) : null
      if (text !== null && (isMachine || !inField || isFast(own))) return { text, mark, strokes: own }
    }
    return null
  }

  /** In a field somebody may type the number of a bill: only what is mostly faster than a person is a scanner's. */
  function isFast(own: readonly Stroke[]): boolean {
    return own.slice(1).filter((each) => each.gap <= GAP_MS).length * 2 >= own.length - 1
  }

  function take({ text, mark }: Found): void {
    clearTimeout(person)
    held = []
    mark.takeBack()
    forget()
    onCode(text)
  }

  /** What is no code, typed at a scanner's speed: it is asked about all the same, so that the cashier hears what is wrong. */
  function takeUnknown(): boolean {
    const mark = marks.at(-1)
    if (!isMachine || !mark) return false
    const own = strokes.slice(mark.at)
    if (own.length < SHORTEST || own.length > CODE_CHARACTERS_MAX) return false
    if (own.some((each) => each.typed === '')) {
      mark.takeBack()
      forget()
      onUnreadable?.()
      return true
    }
    take({ text: own.map((each) => each.typed).join('').trim(), mark, strokes: own })
    return true
  }

  function ended(): void {
    const code = found()
    if (code) {
      endsUntil = last + LONG_SILENCE_MS + SLOW_GAP_MS
      take(code)
    } else if (isMachine && strokes.length >= SHORTEST && strokes.some((each) => each.typed === '')) takeUnknown()
    else forget()
  }

  function terminated(event: KeyboardEvent, quick: boolean, joined: boolean): void {
    const code = joined ? found() : null
    if (code) take(code)
    if (code || (quick && takeUnknown())) endsUntil = event.timeStamp + SLOW_GAP_MS // one more may follow: CR and LF
    else if (event.timeStamp > endsUntil) {
      letGo()
      forget()
      return
    }
    event.preventDefault()
    event.stopPropagation()
  }

  function pressed(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey || MODIFIERS.has(event.key)) return
    const gap = event.timeStamp - last
    const quick = gap <= GAP_MS
    const joined = gap <= SLOW_GAP_MS && strokes.length > 0
    const target = event.target
    const editable = target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement
    if (event.key === 'Enter' || event.key === 'Tab') {
      terminated(event, quick, joined)
      return
    }
    const stroke = event.repeat ? null : strokeOf(event, gap) // a key that is held down repeats as fast as a scanner types
    if (!stroke) {
      letGo()
      if (event.key === 'Backspace' && !editable) onKey?.('Backspace')
      forget()
      return
    }
    last = event.timeStamp
    endsUntil = -Infinity
    if (!joined) forget()
    if (!joined || !quick) {
      letGo()
      marks.push(markHere(target))
      quickKeys = 0
    }
    inField = editable
    if (strokes.length <= CODE_CHARACTERS_MAX) strokes.push(stroke)
    quickKeys += 1
    isMachine ||= quickKeys >= MACHINE_KEYS
    clearTimeout(silence)
    silence = setTimeout(ended, silenceAfter())
    // It is no person: kept out of fields, and no space presses a button.
    if (isMachine) {
      event.preventDefault()
      held = []
    } else if (!editable && onKey && !isTakenByInputMethod(event)) {
      held.push(event.key)
      clearTimeout(person)
      person = setTimeout(letGo, GAP_MS + 10)
      if (event.key === ' ' && strokes.length > 1) event.preventDefault()
    }
  }

  /** How long nothing comes before a burst is over: longer where it was slow, or where more may be to come. */
  function silenceAfter(): number {
    const code = strokes.length >= SHORTEST ? codeOf(strokes.slice(marks[0]?.at ?? 0)) : null
    if (code === null || !isWhole(code)) return LONG_SILENCE_MS
    const slowest = Math.max(...strokes.slice(1).map((each) => each.gap))
    return Math.min(LONG_SILENCE_MS, Math.max(SILENCE_MS, 2 * slowest))
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
