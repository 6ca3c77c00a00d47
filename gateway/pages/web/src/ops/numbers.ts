/** Figures as the page writes them; – where one is not known. */
import { language } from '../shared/language'
import { ops } from './texts'

const NOT_KNOWN = '–'

/** Two decimals below one, one below ten, none above. */
export function decimal(value: number | null): string {
  if (value === null) return NOT_KNOWN
  const digits = value === 0 || Math.abs(value) >= 10 ? 0 : Math.abs(value) < 1 ? 2 : 1
  return new Intl.NumberFormat(language.value, { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value)
}

export function percent(share: number): string {
  return new Intl.NumberFormat(language.value, { style: 'percent', maximumFractionDigits: 1 }).format(share)
}

export function milliseconds(value: number | null): string {
  return value === null ? NOT_KNOWN : ops().milliseconds(decimal(value))
}

/** In milliseconds where two decimals of a second would say little. */
export function seconds(value: number | null): string {
  if (value !== null && value > 0 && value < 0.1) return milliseconds(value * 1_000)
  return value === null ? NOT_KNOWN : ops().seconds(decimal(value))
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

export function bytes(value: number | null): string {
  if (value === null) return NOT_KNOWN
  let rest = value
  let unit = 0
  while (rest >= 1024 && unit < UNITS.length - 1) {
    rest /= 1024
    unit += 1
  }
  return `${decimal(rest)} ${UNITS[unit]}`
}
