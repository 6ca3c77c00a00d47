/** The member page: the code first, everything else a tap away. On wide screens the code stays beside the rest. */
import { effect, signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { Icon, type IconName } from '../shared/parts/icon'
import { Notice as Note } from '../shared/parts/parts'
import { SignIn } from '../shared/parts/sign_in'
import { TopBar } from '../shared/parts/top_bar'
import { shared, tierClass } from '../shared/texts'
import { call } from '../shared/api'
import { ActivityView } from './activity_view'
import { BenefitsView } from './benefits_view'
import { CodeView } from './code_view'
import { forgetCodes } from './codes'
import { checkDevice, device } from './device'
import { Happened, Mentioned } from './happened'
import { liveState } from './live'
import { levelName, loadAll, loadGroup, me, reached, session } from './member'
import { AsOf } from './stale'
import { PointsView } from './points_view'
import { MemberSettings } from './settings'
import { member } from './texts'
import type { Me } from './types'

const TABS = ['code', 'benefits', 'points', 'activity'] as const
type Tab = (typeof TABS)[number]
const ICONS: Record<Tab, IconName> = { code: 'code', benefits: 'gift', points: 'coins', activity: 'list' }

const tab = signal<Tab>(fromAddress())

function fromAddress(): Tab {
  return TABS.find((each) => location.hash === `#${each}`) ?? 'code'
}
window.addEventListener('hashchange', () => (tab.value = fromAddress()))
effect(() => {
  document.title = `${member()[tab.value]} · ${member().title}`
})

export function Page() {
  const signedIn = session.current.value !== null
  const withoutNetwork = !signedIn && device.value !== null && reached.value === false
  useEffect(() => {
    if (!signedIn) void loadGroup() // also says whether there is a network at all
  }, [signedIn])
  return (
    <>
      <TopBar title={member().title} settings={signedIn ? <MemberSettings /> : undefined}>
        {signedIn && <Connection />}
      </TopBar>
      {signedIn || withoutNetwork ? <Member /> : <MemberSignIn />}
      <Happened />
      <Mentioned />
    </>
  )
}

function Connection() {
  const t = member()
  if (reached.value === false) return <span class="chip warn"><Icon name="offline" size={16} />{shared().offline}</span>
  if (liveState.value === 'open') return <span class="chip good"><span class="dot" />{t.live}</span>
  return <span class="chip">{t.notLive}</span>
}

function Member() {
  const credential = session.current.value?.credential
  useEffect(() => {
    if (credential) void loadAll().then(() => me.peek() && checkDevice(me.peek()!.member_id))
  }, [credential])
  const t = member()
  const now = tab.value
  return (
    <div class={`member show-${now}`}>
      <main id="content" class="places" tabIndex={-1}>
        <section class="place code-place" aria-label={t.code}>
          <CodeView />
        </section>
        <section class="place other-place" aria-label={t[now === 'code' ? 'points' : now]}>
          <AsOf />
          {now === 'benefits' ? <BenefitsView /> : now === 'activity' ? <ActivityView /> : <PointsView />}
        </section>
      </main>
      <nav class="tabs" aria-label={t.tabs}>
        {TABS.map((each) => (
          <a key={each} href={`#${each}`} class={`tab tab-${each}`} aria-current={each === now ? 'page' : undefined}>
            <Icon name={ICONS[each]} size={26} />
            <span>{each === 'code' ? t.codeTab : t[each]}</span>
          </a>
        ))}
      </nav>
    </div>
  )
}

function MemberSignIn() {
  const t = member()
  return (
    <main id="content">
      <SignIn
        title={t.signInTitle}
        credentialLabel={t.accessToken}
        explained={t.tokenExplained}
        choices={(demo) =>
          demo.members.map((each) => ({
            key: each.member_id,
            credential: each.access_token,
            label: each.display_name,
            face: (
              <>
                <span class={`avatar ${tierClass(each.tier)}`} aria-hidden="true">{each.display_name.slice(0, 1)}</span>
                <span class="grow">
                  <span class="strong">{each.display_name}</span>
                  <span class="small soft"> {levelName(each.tier)}</span>
                </span>
                <span class="small soft figure">{shared().pointsOf(each.points.toLocaleString())}</span>
              </>
            ),
          }))
        }
        accept={async (credential, label) => {
          const answer = await call<Me>('GET', '/v1/me', { credential })
          if (answer.kind === 'unreachable') return shared().unreachable
          if (answer.kind === 'refused') return answer.problem.code === 'unauthenticated' ? t.tokenRefused : answer.problem.operator_hint
          forgetCodes()
          me.value = answer.body
          session.begin({ credential, label })
          return null
        }}
      />
      {reached.value === false && <Note tone="warn">{shared().offline}</Note>}
    </main>
  )
}
