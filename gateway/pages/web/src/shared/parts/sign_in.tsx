/**
 * Signing in, the same on all pages: what the demo offers to choose from, else a field for the credential with what the
 * page says about it. The page checks the credential with a call of its own before it counts as signed in.
 */
import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect, useId } from 'preact/hooks'

import { readDemo, type DemoSignIns } from '../demo'
import { shared } from '../texts'
import { Notice, Waiting } from './parts'

export interface SignInProps {
  title: string
  /** The page's identities of the demo. */
  choices: (demo: DemoSignIns) => { key: string; credential: string; label: string; face: ComponentChildren }[]
  credentialLabel: string
  /** Where the credential comes from and where it is kept. */
  explained: string
  /** Null when it is good, else what is wrong with it, for people. */
  accept: (credential: string, label: string) => Promise<string | null>
}

const LOOK_MS = { first: 1_000, most: 30_000 }

export function SignIn(props: SignInProps) {
  const demo = useSignal<DemoSignIns | null | undefined>(undefined)
  const typed = useSignal('')
  const unreachable = useSignal(false)
  const busy = useSignal(false)
  const fault = useSignal<string | null>(null)
  const field = useId()
  useEffect(() => {
    let over = false
    let again: number | undefined
    async function look(pauseMs: number): Promise<void> {
      window.clearTimeout(again)
      const found = await readDemo()
      if (over) return
      unreachable.value = found === 'unreachable'
      demo.value = found === 'unreachable' ? null : found
      if (unreachable.value) again = window.setTimeout(() => void look(Math.min(LOOK_MS.most, pauseMs * 2)), pauseMs)
    }
    const online = () => unreachable.peek() && void look(LOOK_MS.first)
    window.addEventListener('online', online)
    void look(LOOK_MS.first)
    return () => {
      over = true
      window.clearTimeout(again)
      window.removeEventListener('online', online)
    }
  }, [])

  async function accept(credential: string, label: string) {
    if (busy.value || credential === '') return
    busy.value = true
    fault.value = await props.accept(credential, label)
    busy.value = false
  }

  if (demo.value === undefined) return <Waiting />
  const t = shared()
  const form = (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault()
        void accept(typed.value.trim(), '')
      }}
    >
      <div class="field">
        <label for={field}>{props.credentialLabel}</label>
        <input id={field} class="input mono" type="password" autocomplete="off" spellcheck={false} maxLength={4096} required
          value={typed.value} aria-describedby={`${field}-hint`} aria-invalid={fault.value !== null}
          onInput={(event) => (typed.value = event.currentTarget.value)} />
        <span class="hint" id={`${field}-hint`}>{props.explained}</span>
      </div>
      <button class="button wide" disabled={busy.value}>{t.signIn}</button>
    </form>
  )
  return (
    <section class="sign-in">
      <h1>{props.title}</h1>
      <div role="alert">
        {fault.value ? <Notice tone="bad">{fault.value}</Notice> : unreachable.value && <Notice tone="warn">{t.unreachable}</Notice>}
      </div>
      {demo.value === null ? form : (
        <>
          <Notice tone="info" title={t.demoStack}>{t.demoExplained}</Notice>
          <h2>{t.signInAs}</h2>
          <ul class="card">
            {props.choices(demo.value).map((choice) => (
              <li key={choice.key}>
                <button type="button" class="who" disabled={busy.value} onClick={() => void accept(choice.credential, choice.label)}>
                  {choice.face}
                </button>
              </li>
            ))}
          </ul>
          <details>
            <summary class="small soft">{t.otherCredential}</summary>
            {form}
          </details>
        </>
      )}
    </section>
  )
}
