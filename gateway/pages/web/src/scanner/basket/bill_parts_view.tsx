/** What the bill is for: a tap for a category that takes it whole, amounts where it is split. */
import { useEffect, useId, useRef } from 'preact/hooks'

import { categoryName } from '../../shared/categories'
import { money } from '../../shared/format'
import { amountsOf, parts, toggle, type, type Part } from './bill_parts'
import { scanner } from '../texts'
import { billMinor, currency, terminal } from '../till'

/** The categories of this place to choose from. */
export function Categories({ onChoose }: { onChoose: (category: string) => void }) {
  const t = scanner()
  const offered = terminal.value?.categories ?? []
  if (offered.length === 0) return null
  return (
    <div class="categories" role="group" aria-label={t.billFor}>
      <span class="small soft" aria-hidden="true">{t.billFor}</span>
      {offered.map((category) => (
        <button key={category} type="button" class="category" aria-pressed={parts.value.some((each) => each.category === category)}
          onClick={() => onChoose(category)}>
          {categoryName(category)}
        </button>
      ))}
    </div>
  )
}

/** Under the bill: the categories, and the amount of each one chosen. */
export function BillParts() {
  const t = scanner()
  const amounts = amountsOf(parts.value, billMinor.value)
  const rest = billMinor.value - amounts.reduce((sum, each) => sum + each, 0)
  return (
    <>
      <Categories onChoose={toggle} />
      {billMinor.value > 0 && parts.value.length > 0 && (
        <ul class="bill-parts">
          {parts.value.map((part, index) => <Amount key={part.category} part={part} minor={amounts[index] ?? 0} />)}
          {rest > 0 && <li class="soft small"><span>{t.otherwise}</span><span class="figure">{money(rest, currency.value)}</span></li>}
        </ul>
      )}
    </>
  )
}

/** Figures are typed from the right, as on the keys above. */
function Amount({ part, minor }: { part: Part; minor: number }) {
  const field = useId()
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => {
    if (part.minor === 0) input.current?.focus()
  }, [])
  return (
    <li>
      <label for={field}>{categoryName(part.category)}</label>
      <input id={field} ref={input} class="input figure" inputMode="numeric" autocomplete="off" maxLength={24} value={money(minor, currency.value)}
        onInput={(event) => type(part.category, Math.min(Number(event.currentTarget.value.replace(/\D/g, '')), billMinor.peek()))} />
    </li>
  )
}
