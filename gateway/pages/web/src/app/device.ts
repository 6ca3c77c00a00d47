/**
 * Codes without network: this device signs them with a key of its own (docs of POST /v1/me/devices).
 *
 * Guarantees: the key is kept as a CryptoKey that cannot be read out again, in this browser's IndexedDB, never as text;
 * it is deleted when the device is taken off. Does not guarantee that the device's clock is right: a code of a device
 * that is more than a minute off is refused.
 */
import { signal } from '@preact/signals'

import { asMember } from './member'
import type { Device, EnrolledDevice } from './types'

export interface OwnDevice {
  device_id: string
  member_id: string
  name: string
  code_prefix: string
  step_seconds: number
  key: CryptoKey
}

export interface OfflineCode {
  code: string
  fromMs: number
  untilMs: number
}

export const device = signal<OwnDevice | null>(null)
const DATABASE = 'tong-member'
const STORE = 'device'
const THE_ONE = 'this'

/** The code of the step that `nowMs` lies in. */
export async function offlineCode(own: OwnDevice, nowMs: number): Promise<OfflineCode> {
  const step = Math.floor(nowMs / 1_000 / own.step_seconds)
  const message = `${own.code_prefix}${step}`
  const mac = new Uint8Array(await crypto.subtle.sign('HMAC', own.key, new TextEncoder().encode(message)))
  const fromMs = step * own.step_seconds * 1_000
  return { code: `${message}.${base64url(mac.slice(0, 16))}`, fromMs, untilMs: fromMs + own.step_seconds * 1_000 }
}

/** Reads the device that was enrolled here, if any. */
export async function findDevice(): Promise<void> {
  device.value = await inStore<OwnDevice | undefined>('readonly', (store) => store.get(THE_ONE)) ?? null
}

/** Enrols this device. Null when it is done, else why not, for people. */
export async function enrol(memberId: string, name: string): Promise<string | null> {
  const before = device.peek()
  const body = before && before.member_id === memberId ? { name, replaces: before.device_id } : { name }
  const answer = await asMember<EnrolledDevice>('POST', '/v1/me/devices', body)
  if (answer.kind !== 'answered') return answer.kind === 'refused' ? answer.problem.operator_hint : ''
  const { key, device_id, code_prefix, step_seconds } = answer.body
  const own: OwnDevice = {
    device_id,
    member_id: memberId,
    name,
    code_prefix,
    step_seconds,
    key: await crypto.subtle.importKey('raw', fromBase64url(key), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']),
  }
  await inStore('readwrite', (store) => store.put(own, THE_ONE))
  device.value = own
  return null
}

/** Takes this device off: its codes are refused from now on, its key is deleted. True when the gateway knows. */
export async function takeOff(): Promise<boolean> {
  const own = device.peek()
  if (!own) return true
  const answer = await asMember('DELETE', `/v1/me/devices/${own.device_id}`)
  const known = answer.kind === 'answered' || (answer.kind === 'refused' && answer.problem.code === 'not_found')
  if (known) await forgetDevice()
  return known
}

/** Forgets the device where the gateway no longer takes its codes (revoked elsewhere, keys rotated). */
export async function checkDevice(memberId: string): Promise<void> {
  const own = device.peek()
  if (!own) return
  const answer = await asMember<{ devices: Device[] }>('GET', '/v1/me/devices')
  if (answer.kind !== 'answered') return
  const found = answer.body.devices.find((each) => each.device_id === own.device_id)
  if (own.member_id !== memberId || !found || found.revoked_at !== null) await forgetDevice()
  else if (!found.key_current) await enrol(memberId, own.name)
}

async function forgetDevice(): Promise<void> {
  await inStore('readwrite', (store) => store.delete(THE_ONE))
  device.value = null
}

function inStore<T>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1)
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE)
    opening.onerror = () => reject(opening.error)
    opening.onsuccess = () => {
      const database = opening.result
      const transaction = database.transaction(STORE, mode)
      const request = act(transaction.objectStore(STORE))
      transaction.oncomplete = () => {
        database.close()
        resolve(request.result)
      }
      transaction.onabort = () => {
        database.close()
        reject(transaction.error)
      }
    }
  })
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '')
}

function fromBase64url(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (character) => character.charCodeAt(0))
}
