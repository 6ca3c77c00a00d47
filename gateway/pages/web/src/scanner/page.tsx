/** The scanner page: one column of work, one of what was done; on a phone the second is a sheet. */
import { effect, signal, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { named } from '../shared/format'
import { Icon } from '../shared/parts/icon'
import { Sheet } from '../shared/parts/sheet'
import { SignIn } from '../shared/parts/sign_in'
import { TopBar } from '../shared/parts/top_bar'
import { Waiting } from '../shared/parts/parts'
import { shared } from '../shared/texts'
import { BasketView } from './basket/basket_view'
import { attempts, steps } from './journal'
import { findByCode, findsByCode, forgetLists, readGroup } from './lists'
import { ListsView } from './lists_view'
import { OutcomeView } from './outcome_view'
import { marked, pressed, ReadyView } from './ready_view'
import { scanner } from './texts'
import { open, readTerminal, scanned, screen, session, settleFirst, signedIn as signIn, signOut, swallowed, terminal } from './till'
import { UnknownView } from './unknown_view'
import { listen } from './wedge'

effect(() => {
  document.title = `${scanner().title} · Tong`
})

/** Where there is room for them the lists stand beside the work (scanner.css has the same width). */
const WIDE = window.matchMedia('(min-width: 76rem)')
const isWide = signal(WIDE.matches)
WIDE.addEventListener('change', () => (isWide.value = WIDE.matches))

export function Page() {
  const signedIn = session.current.value !== null
  return (
    <>
      <TopBar title={scanner().title} settings={signedIn ? <Leave /> : undefined}>
        {signedIn && <Place />}
        {signedIn && <LastScans />}
      </TopBar>
      {signedIn ? <Till /> : <TillSignIn />}
    </>
  )
}

function Place() {
  const at = terminal.value
  if (!at) return null
  return (
    <span class="till-place">
      <Icon name="store" size={18} />
      <span>{named(at.business.name)} · {named(at.outlet.name)}</span>
    </span>
  )
}

function LastScans() {
  const opened = useSignal(false)
  const t = scanner()
  return (
    <>
      <button type="button" class="icon-button last-scans" aria-label={t.lists} aria-haspopup="dialog" onClick={() => (opened.value = true)}>
        <Icon name="list" />
        {(steps.value.length > 0 || attempts.value.some((each) => each.state === 'unknown')) && <span class="dot-mark" />}
      </button>
      {opened.value && (
        <Sheet title={t.lists} onClose={() => (opened.value = false)}>
          <ListsView />
        </Sheet>
      )}
    </>
  )
}

function Till() {
  const t = scanner()
  const now = screen.value
  // For as long as somebody is signed in: a burst that comes with the tap before it is not lost, and one that comes at
  // the wrong moment presses no button. `scanned` takes it only where a code is waited for.
  useEffect(() => {
    const wedge = listen({
      onCode: (text) => void (findsByCode.peek() ? findByCode(text.trim()) : scanned(text)),
      onKey: (key) => screen.peek() === 'ready' && pressed(key),
      onMark: marked,
      onUnreadable: () => (swallowed.value = screen.peek() === 'ready'),
    })
    return () => wedge.stop()
  }, [])
  useEffect(() => void readGroup(), [])
  // A tab that comes back may have something to settle that another tab began.
  useEffect(() => {
    const back = () => document.visibilityState === 'visible' && settleFirst()
    document.addEventListener('visibilitychange', back)
    return () => document.removeEventListener('visibilitychange', back)
  }, [])
  return (
    <div class="till">
      <main id="content" class={`work at-${now}`} tabIndex={-1}>
        {now === 'ready' ? <ReadyView />
          : now === 'basket' ? <BasketView />
          : now === 'outcome' ? <OutcomeView />
          : now === 'unknown' ? <UnknownView />
          : <Waiting text={t.working} />}
      </main>
      {isWide.value && (
        <aside class="beside" aria-label={t.lists}>
          <h2>{t.lists}</h2>
          <ListsView />
        </aside>
      )}
    </div>
  )
}

function Leave() {
  function leave(): void {
    signOut()
    forgetLists()
  }
  return <button type="button" class="button quiet wide" onClick={leave}>{shared().signOut}</button>
}

function TillSignIn() {
  const t = scanner()
  return (
    <main id="content">
      <SignIn
        title={t.signInTitle}
        credentialLabel={t.terminalKey}
        explained={t.keyExplained}
        choices={(demo) =>
          demo.terminals.map((each) => ({
            key: each.terminal_id,
            credential: each.api_key,
            label: each.terminal_id,
            face: (
              <>
                <span class="avatar" aria-hidden="true"><Icon name="store" size={20} /></span>
                <span class="grow">
                  <span class="strong">{named(each.business_name, each.business)}</span>
                  <span class="small soft"> {named(each.outlet_name, each.outlet)}</span>
                </span>
                <Icon name="chevron" size={20} />
              </>
            ),
          }))
        }
        accept={async (credential, label) => {
          const answer = await readTerminal(credential)
          if (answer.kind === 'unreachable') return shared().unreachable
          if (answer.kind === 'refused') return answer.problem.status === 401 ? t.keyRefused : answer.problem.operator_hint
          signIn(answer.body)
          session.begin({ credential, label })
          await open()
          return null
        }}
      />
    </main>
  )
}
