/** The card that is shown at the till: level and points above, the code in both forms below, how long it stays. */
import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'

import { grouped, month, monthsAway, whole } from '../shared/format'
import { Icon } from '../shared/parts/icon'
import { Notice, Waiting } from '../shared/parts/parts'
import { BarSymbol, QrSymbol } from '../shared/symbols/symbols'
import { shared, tierClass } from '../shared/texts'
import { keepAwake } from './attention'
import { now } from './clock'
import { anotherCode, refusal, runningOut, shown, type Shown } from './codes'
import { device } from './device'
import { benefits, lastSeen, levelName, me, reached } from './member'
import { member } from './texts'

export function CodeView() {
  const t = member()
  const who = me.value ?? lastSeen()
  const code = shown.value
  const large = useSignal(false)
  useEffect(() => {
    const seen = () => void keepAwake(!document.hidden)
    seen()
    document.addEventListener('visibilitychange', seen)
    return () => {
      document.removeEventListener('visibilitychange', seen)
      void keepAwake(false)
    }
  }, [])
  return (
    <>
      <article class={`pass ${tierClass(who?.tier ?? 'standard')}`}>
        <header class="pass-head">
          <div>
            <p class="pass-name">{who?.display_name ?? '　'}</p>
            <p class="pass-level">{who ? levelName(who.tier) : '　'}</p>
          </div>
          {me.value && (
            <p class="pass-points">
              <span class="figure" data-testid="points">{whole(me.value.balance.points)}</span> <span>{t.pointsUnit}</span>
            </p>
          )}
        </header>
        <div class="pass-code">{code ? <Symbols code={code} onEnlarge={() => (large.value = true)} /> : <NoCode />}</div>
      </article>
      <Below code={code} />
      <Glance />
      {large.value && code && <Enlarged code={code} onClose={() => (large.value = false)} />}
    </>
  )
}

function Symbols({ code, onEnlarge }: { code: NonNullable<Shown>; onEnlarge: () => void }) {
  const t = member()
  return (
    <>
      <button type="button" class="symbol" aria-label={t.enlarge} onClick={onEnlarge}>
        <QrSymbol text={code.code} label={t.qrLabel} />
      </button>
      {code.form === 'online' ? (
        <>
          <BarSymbol digits={code.digits} label={t.barsLabel} />
          <p class="digits" data-testid="digits">{grouped(code.digits)}</p>
        </>
      ) : (
        <p class="chip info offline-mark"><Icon name="lock" size={16} />{t.offlineShort}</p>
      )}
      <Countdown code={code} />
    </>
  )
}

const RING = 2 * Math.PI * 15

function Countdown({ code }: { code: NonNullable<Shown> }) {
  const t = member()
  const leftMs = Math.max(0, code.untilMs - now.value)
  const seconds = Math.ceil(leftMs / 1_000)
  const share = Math.min(1, leftMs / (code.untilMs - code.fromMs))
  const isLast = reached.value === false && code.form === 'online' && code.ahead === 0
  return (
    <div class="countdown">
      <svg class={`ring ${seconds <= 5 ? 'ending' : ''}`} viewBox="0 0 36 36" aria-hidden="true">
        <circle cx="18" cy="18" r="15" class="ring-track" />
        <circle cx="18" cy="18" r="15" class="ring-left" stroke-dasharray={RING} stroke-dashoffset={RING * (1 - share)} transform="rotate(-90 18 18)" />
      </svg>
      <span class="grow" role="timer">{isLast ? t.validFor(seconds) : t.refreshIn(seconds)}</span>
      {code.form === 'online' && (
        <button type="button" class="button plain small" onClick={anotherCode} disabled={reached.value === false && code.ahead === 0}>
          <Icon name="refresh" size={18} />
          <span>{t.newCode}</span>
        </button>
      )}
    </div>
  )
}

function NoCode() {
  const t = member()
  if (refusal.value) return <div class="no-code"><Notice tone="bad">{refusal.value}</Notice></div>
  if (reached.value !== false) return <div class="no-code"><Waiting text={t.fetchingCode} /></div>
  return (
    <div class="no-code">
      <Notice tone="warn" title={shared().offline}>
        {t.noNetworkCode} {device.value ? '' : t.noNetworkEnrol}
      </Notice>
    </div>
  )
}

function Below({ code }: { code: Shown }) {
  const t = member()
  return (
    <div class="below" aria-live="polite">
      {code?.form === 'offline' ? (
        <Notice tone="info">{t.offlineCode}</Notice>
      ) : reached.value === false && code ? (
        <Notice tone="warn">{t.bridged}{runningOut.value && !device.value ? ` ${t.noNetworkEnrol}` : ''}</Notice>
      ) : (
        <p class="small soft hint">{t.showHint}</p>
      )}
    </div>
  )
}

/** What is worth knowing before one pays, a tap away from its page. */
function Glance() {
  const t = member()
  const soon = me.value?.lots.filter((lot) => lot.expires_month !== null && monthsAway(lot.expires_month) <= 1) ?? []
  const usable = benefits.value?.filter((each) => each.not_now === null).length ?? 0
  if (soon.length === 0 && usable === 0) return null
  const last = soon.at(-1)?.expires_month
  return (
    <ul class="card rows glance">
      {last && (
        <li>
          <a href="#points">
            <Icon name="clock" size={20} />
            <span>{t.soonGone(whole(soon.reduce((sum, lot) => sum + lot.points, 0)), t.endOf(month(last)))}</span>
            <Icon name="chevron" size={18} />
          </a>
        </li>
      )}
      {usable > 0 && (
        <li>
          <a href="#benefits">
            <Icon name="gift" size={20} />
            <span>{t.usableCount(whole(usable))}</span>
            <Icon name="chevron" size={18} />
          </a>
        </li>
      )}
    </ul>
  )
}

/** White from edge to edge, as large as the screen allows: for scanners that have trouble. */
function Enlarged({ code, onClose }: { code: NonNullable<Shown>; onClose: () => void }) {
  const t = member()
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog ref={dialog} class="bright" aria-label={t.enlarged} onClose={onClose} onClick={() => dialog.current?.close()}>
      <QrSymbol text={code.code} label={t.qrLabel} />
      {code.form === 'online' && (
        <>
          <BarSymbol digits={code.digits} label={t.barsLabel} />
          <p class="digits">{grouped(code.digits)}</p>
        </>
      )}
      <button type="button" class="button quiet">{shared().close}</button>
    </dialog>
  )
}
