/**
 * Who is signed in on this page. The credential lies in sessionStorage: it is gone with the tab, other tabs and other
 * sites never see it, and no cookie carries it anywhere by itself. It never stands in an address.
 */
import { signal, type Signal } from '@preact/signals'

export type Role = 'member' | 'terminal' | 'operations'

export interface Session {
  credential: string
  /** What the demo knows of it; empty where a credential was pasted. */
  label: string
}

export interface SessionKeeper {
  current: Signal<Session | null>
  begin(session: Session): void
  end(): void
}

export function sessionOf(role: Role): SessionKeeper {
  const keptAs = `tong.session.${role}`
  const current = signal<Session | null>(read(keptAs))
  return {
    current,
    begin(session) {
      sessionStorage.setItem(keptAs, JSON.stringify(session))
      current.value = session
    },
    end() {
      sessionStorage.removeItem(keptAs)
      current.value = null
    },
  }
}

function read(keptAs: string): Session | null {
  try {
    const found: unknown = JSON.parse(sessionStorage.getItem(keptAs) ?? 'null')
    if (typeof found === 'object' && found !== null && 'credential' in found && typeof found.credential === 'string')
      return { credential: found.credential, label: 'label' in found ? String(found.label) : '' }
  } catch {
    sessionStorage.removeItem(keptAs)
  }
  return null
}
