/** What the development stack offers to sign in with (GET /v1/demo/sign-ins). Elsewhere that path is `not_found`. */
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

/** Null where there is no demo; `unreachable` where no answer came. */
export async function readDemo(): Promise<DemoSignIns | null | 'unreachable'> {
  const answer = await call<DemoSignIns>('GET', '/v1/demo/sign-ins')
  if (answer.kind === 'unreachable') return 'unreachable'
  return answer.kind === 'answered' ? answer.body : null
}
