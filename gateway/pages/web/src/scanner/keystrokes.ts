/**
 * What the keys of a scanner say. A scanner types as a keyboard of the United States; the page hears what the layout or
 * the input method of this computer makes of it: `é` for 2 on a French layout, `Process` while Chinese is typed. So each
 * key is kept twice, as the page heard it and as its place on the keyboard says (`event.code`), and the reading that is
 * a code counts.
 */

export interface Stroke {
  /** As the layout says; empty where an input method has the key. */
  typed: string
  /** As a keyboard of the United States has it at this place; empty where the place is not known. */
  physical: string
  /** Milliseconds since the key before. */
  gap: number
}

const SHIFTED: Record<string, [string, string]> = {
  Minus: ['-', '_'], Period: ['.', '>'], Equal: ['=', '+'], Slash: ['/', '?'], BracketLeft: ['[', '{'], BracketRight: [']', '}'],
  NumpadSubtract: ['-', '-'], NumpadDecimal: ['.', '.'], Space: [' ', ' '],
}

/** Keys that change others and write nothing. */
export const MODIFIERS = new Set(['Shift', 'CapsLock', 'AltGraph', 'NumLock', 'Control', 'Alt', 'Meta'])

function physicalOf({ code, shiftKey }: KeyboardEvent): string {
  const letter = /^Key([A-Z])$/.exec(code)?.[1]
  if (letter) return shiftKey ? letter : letter.toLowerCase()
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(code)?.[1]
  if (digit) return shiftKey && code.startsWith('Digit') ? ')!@#$%^&*('.charAt(Number(digit)) : digit
  return SHIFTED[code]?.[shiftKey ? 1 : 0] ?? ''
}

/** Whether an input method takes this key before the page gets its character. */
export function isTakenByInputMethod(event: KeyboardEvent): boolean {
  return event.isComposing || event.key === 'Process' || event.key === 'Unidentified'
}

/** The stroke of a key that writes something; null for every other key. */
export function strokeOf(event: KeyboardEvent, gap: number): Stroke | null {
  const hidden = isTakenByInputMethod(event) || event.key === 'Dead'
  if (!hidden && event.key.length !== 1) return null
  return { typed: hidden ? '' : event.key, physical: physicalOf(event), gap }
}

/** An identifier of the symbology that some scanners put in front: `]C0`, `]Q1` (AIM). */
const AIM_IDENTIFIER = /^\][A-Za-z]\d/

/**
 * Looks like something a member shows: 18 digits, a JWT, or a code of an enrolled device. A JWT begins with `{"`, which is
 * `ey`: with Caps Lock on, with Y and Z exchanged, or with a figure of the bill before it, it does not.
 */
export function looksLikeCode(text: string): boolean {
  const bare = text.replace(AIM_IDENTIFIER, '')
  return /^\d{18}$/.test(bare.replace(/[ -]/g, '')) || /^ey[\w-]{6,}\.[\w-]{8,}\.[\w-]{8,}$/.test(bare) || /^o\d\.[\w.-]{16,}$/.test(bare)
}

/** Whether nothing can be missing at the end: 18 digits, or a JWT with a whole signature (HS256 43, EdDSA 86 characters). */
export function isWhole(text: string): boolean {
  const last = text.split('.').at(-1) ?? ''
  return !text.includes('.') || last.length === 43 || last.length === 86
}

/** The code that these strokes say, as they were heard or else by their places; null where neither is one. */
export function codeOf(strokes: readonly Stroke[]): string | null {
  const readings = [strokes.map((each) => each.typed), strokes.map((each) => each.physical)]
  return readings.map((each) => each.join('').trim()).find(looksLikeCode) ?? null
}
