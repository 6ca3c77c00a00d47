/**
 * What the development stack offers to sign in with (GET /v1/demo/sign-ins). It needs the token that stands in the address
 * which `tong up` prints, behind `#`: browsers send that part to nobody. The token is kept for this tab only.
 */
import { call } from './api'
import type { Names } from './format'

export interface DemoMember {
  member_id: string
  display_name: string
  tier: string
  tier_name: Names
  points: number
  access_token: string
}

export interface DemoTerminal {
  terminal_id: string
  business: string
  business_name: Names
  outlet: string
  outlet_name: Names
  api_key: string
}

export interface DemoSignIns {
  members: DemoMember[]
  terminals: DemoTerminal[]
  admin_api_key: string
}

const KEPT_AS = 'tong.demo-token'
const IN_ADDRESS = /^#demo=([\w-]{16,128})$/

/** Moves the token from the address, where it would stay in the history, to this tab's storage. */
export function keepDemoToken(): void {
  const found = IN_ADDRESS.exec(location.hash)
  if (!found?.[1]) return
  sessionStorage.setItem(KEPT_AS, found[1])
  history.replaceState(null, '', location.pathname + location.search)
}

/** Null where there is no demo, or no token for it; `unreachable` where no answer came. */
export async function readDemo(): Promise<DemoSignIns | null | 'unreachable'> {
  keepDemoToken()
  const token = sessionStorage.getItem(KEPT_AS)
  if (!token) return null
  const answer = await call<DemoSignIns>('GET', '/v1/demo/sign-ins', { credential: token })
  if (answer.kind === 'unreachable') return 'unreachable'
  return answer.kind === 'answered' ? answer.body : null
}
