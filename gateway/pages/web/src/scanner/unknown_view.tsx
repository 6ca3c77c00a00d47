/** Nobody knows yet whether it was taken: the same one is asked for again, or given up. Nothing else can be scanned. */
import { money, moment } from '../shared/format'
import { Icon } from '../shared/parts/icon'
import { scanner } from './texts'
import { askAgain, asking, current, giveUp } from './till'

export function UnknownView() {
  const t = scanner()
  const attempt = current.value
  if (!attempt) return null
  const { bill } = attempt.scan
  return (
    <section class="outcome unknown">
      <div class="outcome-shape" aria-hidden="true"><Icon name="question" size={72} /></div>
      <div role="status"><h1>{t.unknownTitle}</h1></div>
      <p class="outcome-hint">{t.unknownText}</p>
      <p class="outcome-who">
        {attempt.memberName} · {moment(new Date(attempt.at).toISOString())}
        {bill && <> · {money(bill.amount_minor, bill.currency)}</>}
      </p>
      <div class="outcome-ways">
        <button type="button" class="button large first" disabled={asking.value} onClick={() => void askAgain()}>
          <Icon name="refresh" />{asking.value ? t.askingAgain : t.askAgain}
        </button>
        <button type="button" class="button quiet" disabled={asking.value} onClick={() => void giveUp()}>{t.giveUp}</button>
      </div>
      <p class="small">{t.giveUpHint}</p>
    </section>
  )
}
