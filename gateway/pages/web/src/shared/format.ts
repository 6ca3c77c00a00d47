/** Numbers, money and times as people of each language write them. Amounts are integers of minor units. */
import { CURRENCY_DECIMALS } from './currency_decimals'
import { language } from './language'

export type Names = Partial<Record<string, string>>

/** A name of the configuration in the language of the page, else in any language it has. */
export function named(names: Names | null | undefined, otherwise = ''): string {
  if (!names) return otherwise
  return names[language.value] ?? names['zh-Hant'] ?? names['zh-Hans'] ?? names.en ?? Object.values(names)[0] ?? otherwise
}

export function whole(amount: number): string {
  return new Intl.NumberFormat(language.value, { maximumFractionDigits: 0 }).format(amount)
}

/** With its sign, minus as U+2212. */
export function signed(amount: number): string {
  return amount < 0 ? `−${whole(-amount)}` : `+${whole(amount)}`
}

/** How many decimals the minor unit of a currency has (ISO 4217). The browser's own table says 0 for IQD, which has 3. */
export function decimalsOf(currency: string): number {
  return CURRENCY_DECIMALS[currency] ?? 2
}

export function money(minor: number, currency: string): string {
  const decimals = decimalsOf(currency)
  return new Intl.NumberFormat(language.value, {
    style: 'currency', currency, currencyDisplay: 'narrowSymbol', minimumFractionDigits: decimals, maximumFractionDigits: decimals,
  }).format(minor / 10 ** decimals)
}

/** Time of day, with the day where it is not today. */
export function moment(instant: string, now = Date.now()): string {
  const at = new Date(instant)
  const today = new Date(now).toDateString() === at.toDateString()
  const time: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', hour12: false }
  const options: Intl.DateTimeFormatOptions = today ? time : { month: 'short', day: 'numeric', ...time }
  return new Intl.DateTimeFormat(language.value, options).format(at)
}

export function day(instant: string): string {
  return new Intl.DateTimeFormat(language.value, { month: 'long', day: 'numeric', weekday: 'short' }).format(new Date(instant))
}

/** `2027-03` as a month. */
export function month(yearAndMonth: string): string {
  const [year, number] = yearAndMonth.split('-').map(Number)
  return new Intl.DateTimeFormat(language.value, { year: 'numeric', month: 'long' }).format(new Date(year ?? 0, (number ?? 1) - 1, 1))
}

/** How many months from now the month is: 0 is this month. */
export function monthsAway(yearAndMonth: string, now = new Date()): number {
  const [year, number] = yearAndMonth.split('-').map(Number)
  return ((year ?? 0) - now.getFullYear()) * 12 + (number ?? 1) - 1 - now.getMonth()
}

/** A number in its groups as it is read out: 974 229 897 691 788 465. */
export function grouped(digits: string, size = 3): string {
  return digits.match(new RegExp(`.{1,${size}}`, 'g'))?.join(' ') ?? digits
}
