/** The operations page: how it goes now, what is wrong, the last hour, and where. */
import { effect } from '@preact/signals'

import { call } from '../shared/api'
import { moment, whole } from '../shared/format'
import { Icon } from '../shared/parts/icon'
import { Choice, Notice, Waiting } from '../shared/parts/parts'
import { SignIn } from '../shared/parts/sign_in'
import { TopBar } from '../shared/parts/top_bar'
import { shared } from '../shared/texts'
import { BYTE_STEPS, Chart, shown, zoom } from './chart'
import { liveState, pause, paused, session, signOut, snapshot } from './figures'
import { bytes, decimal, milliseconds, percent, seconds } from './numbers'
import { Businesses, Reasons, Refusals } from './tables'
import { ops } from './texts'
import type { Alarm, Snapshot } from './types'

const WINDOWS = ['5', '15', '60'] as const

effect(() => {
  const rate = snapshot.value?.redemptions.per_second
  document.title = `${rate === null || rate === undefined ? '' : `${decimal(rate)}/s · `}${ops().title} · Tong`
})

export function Page() {
  const signedIn = session.current.value !== null
  return (
    <>
      <TopBar title={ops().title} settings={signedIn ? <button type="button" class="button quiet wide" onClick={signOut}>{shared().signOut}</button> : undefined}>
        {signedIn && <Connection />}
      </TopBar>
      {signedIn ? <Watch /> : <OperationsSignIn />}
    </>
  )
}

function Connection() {
  const t = ops()
  return (
    <>
      {paused.value
        ? <span class="chip info"><Icon name="pause" size={16} />{t.paused}</span>
        : liveState.value === 'open'
          ? <span class="chip good"><span class="dot" />{t.live}</span>
          : <span class="chip warn"><Icon name="offline" size={16} />{t.reconnecting}{snapshot.value && ` · ${t.asOf(moment(snapshot.value.at))}`}</span>}
      <button type="button" class="button quiet pause" aria-label={paused.value ? t.goOn : t.pause} onClick={() => pause(!paused.value)}>
        <Icon name={paused.value ? 'play' : 'pause'} size={20} /><span>{paused.value ? t.goOn : t.pause}</span>
      </button>
    </>
  )
}

function Watch() {
  const now = snapshot.value
  const t = ops()
  if (!now) return <main id="content">{liveState.value === 'waiting' ? <Waiting text={t.notThere} /> : <Waiting />}</main>
  return (
    <main id="content" class="watch" tabIndex={-1}>
      <h1 class="unseen">{t.title}</h1>
      <Alarms alarms={now.alarms} />
      <Tiles now={now} />
      <div class="row wrap">
        <Choice label={t.window} options={WINDOWS.map((value) => ({ value, text: t.minutes(value) }))}
          chosen={zoom.value ? ('' as (typeof WINDOWS)[number]) : (WINDOWS.find((each) => Number(each) * 60 === shown.value) ?? '15')}
          onChoose={(chosen) => {
            zoom.value = null
            shown.value = Number(chosen) * 60
          }} />
        {zoom.value
          ? <button type="button" class="button plain" onClick={() => (zoom.value = null)}><Icon name="search" size={20} />{t.zoomed}</button>
          : <p class="small soft">{t.dragHint}</p>}
      </div>
      <div class="charts">
        <Chart title={t.throughput} format={decimal} lines={[
          { column: 'accepted', label: t.accepted, colour: '--good', fill: true },
          { column: 'refused', label: t.refused, colour: '--bad' },
        ]} />
        <Chart title={t.latency} format={milliseconds} lines={[
          { column: 'p50_ms', label: 'p50', colour: '--info' },
          { column: 'p95_ms', label: 'p95', colour: '--accent' },
          { column: 'p99_ms', label: 'p99', colour: '--warn' },
        ]} />
        <Chart title={t.ledger} format={seconds} lines={[{ column: 'lag_seconds', label: t.ledger, colour: '--info', fill: true }]} />
        <Chart title={t.memory} format={bytes} steps={BYTE_STEPS} lines={[{ column: 'memory_bytes', label: t.memory, colour: '--accent', fill: true }]} />
      </div>
      <div class="tables">
        <Businesses businesses={now.by_business} />
        <Reasons reasons={now.refused_by_reason} />
      </div>
      <Refusals />
    </main>
  )
}

function Tiles({ now }: { now: Snapshot }) {
  const t = ops()
  const lately = now.by_business.reduce((sum, each) => sum + (each.last_minute?.accepted ?? 0), 0)
  const refusedLately = now.refused_by_reason.reduce((sum, each) => sum + (each.last_minute ?? 0), 0)
  const share = lately + refusedLately > 0 ? refusedLately / (lately + refusedLately) : 0
  const { memory_bytes, memory_limit_bytes } = now.hot_store
  return (
    <section class="tiles">
      <Tile name="rate" label={t.perSecond} value={decimal(now.redemptions.per_second)} note={t.minute(decimal(now.redemptions.per_second_minute))} />
      <Tile name="refused" label={t.refusedShare} value={whole(refusedLately)} note={t.ofAll(percent(share))} />
      <Tile name="latency" label={`${t.latency} p99`} value={milliseconds(now.latency.p99_ms)} note={`p50 ${milliseconds(now.latency.p50_ms)} · p95 ${milliseconds(now.latency.p95_ms)}`.replace(/ (?!·|p95)/g, '\u00a0')} />
      <Tile name="lag" label={t.ledger} value={seconds(now.ledger.lag_seconds)} note={t.backlog(now.ledger.backlog_entries === null ? '–' : whole(now.ledger.backlog_entries))} />
      <Tile name="holds" label={t.holds} value={now.holds.open === null ? '–' : whole(now.holds.open)} />
      <Tile name="memory" label={t.memory} value={bytes(memory_bytes)} note={memory_limit_bytes ? t.ofLimit(bytes(memory_limit_bytes)) : t.noLimit} />
      <Tile name="workers" label={t.workers} value={whole(now.workers.alive)} note={t.watching(whole(now.streams.members), whole(now.streams.operations))} />
    </section>
  )
}

function Tile({ name, label, value, note }: { name: string; label: string; value: string; note?: string }) {
  return (
    <div class="tile card" data-tile={name}>
      <span class="small soft">{label}</span>
      <b class="figure">{value}</b>
      <span class="tiny soft">{note ?? ' '}</span>
    </div>
  )
}

function Alarms({ alarms }: { alarms: readonly Alarm[] }) {
  const t = ops()
  return (
    <section class="alarms" aria-label={t.alarms} aria-live="polite">
      {alarms.length === 0
        ? <Notice tone="good">{t.allWell}</Notice>
        : alarms.map((alarm) => (
            <Notice key={alarm.code} tone={alarm.severity === 'critical' ? 'bad' : 'warn'} title={alarm.title}>
              <p>{alarm.text}</p>
              <p class="tiny soft">
                {t.since(moment(alarm.since))}
                {alarm.value !== null && alarm.threshold !== null && ` · ${t.threshold(decimal(alarm.value), decimal(alarm.threshold))}`}
              </p>
            </Notice>
          ))}
    </section>
  )
}

function OperationsSignIn() {
  const t = ops()
  return (
    <main id="content">
      <SignIn
        title={t.signInTitle}
        credentialLabel={t.adminKey}
        explained={t.keyExplained}
        choices={(demo) => [
          {
            key: 'admin',
            credential: demo.admin_api_key,
            label: 'group',
            face: (
              <>
                <span class="avatar" aria-hidden="true"><Icon name="chart" size={20} /></span>
                <span class="grow strong">{t.wholeGroup}</span>
                <Icon name="chevron" size={20} />
              </>
            ),
          },
        ]}
        accept={async (credential, label) => {
          const answer = await call<Snapshot>('GET', '/v1/ops/snapshot', { credential })
          if (answer.kind === 'unreachable') return shared().unreachable
          if (answer.kind === 'refused' && answer.problem.status < 500) return t.keyRefused
          if (answer.kind === 'refused') return answer.problem.operator_hint
          snapshot.value = answer.body
          session.begin({ credential, label })
          return null
        }}
      />
    </main>
  )
}
