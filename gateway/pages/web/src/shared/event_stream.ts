/**
 * Server-sent events (WHATWG HTML §9.2) over fetch, because EventSource cannot send Authorization.
 *
 * Guarantees: reconnects for ever with growing, jittered pauses until it is closed; sends Last-Event-ID; notices a
 * connection that has gone silent; closes while the page is hidden and returns with it; a refusal that no repetition
 * changes (401, 403, 404) ends it with state `refused`. Does not guarantee that every event arrives: ask the API for
 * the state after `open`.
 */
import { signal, type ReadonlySignal } from '@preact/signals'

import { language } from './language'

export interface ServerEvent {
  id: string
  event: string
  data: string
}

export type StreamState = 'connecting' | 'open' | 'waiting' | 'refused' | 'closed'

export interface EventStream {
  state: ReadonlySignal<StreamState>
  close(): void
}

export interface StreamOptions {
  credential: string
  onEvent: (event: ServerEvent) => void
  /** The last event that was seen before, on another page load. */
  lastId?: string
  /** Called at each (re)connection. */
  onOpen?: () => void
  /** Longer silence than this is a dead connection; the gateway sends a comment more often. */
  silenceMs?: number
  /** Stay connected while the page is hidden (a dashboard on a wall is never hidden; a phone in a pocket is). */
  whileHidden?: boolean
}

const PAUSE_MS = { first: 500, most: 15_000 }
const LINE_CHARACTERS_MAX = 262_144

export function openEvents(path: string, options: StreamOptions): EventStream {
  const state = signal<StreamState>('connecting')
  let lastId = options.lastId ?? ''
  let failures = 0
  let connection: AbortController | null = null
  let again: number | undefined

  const receive = (event: ServerEvent) => {
    if (event.id) lastId = event.id
    options.onEvent(event)
  }

  async function connect(): Promise<void> {
    if (state.peek() === 'closed' || connection) return
    window.clearTimeout(again)
    const mine = new AbortController()
    connection = mine
    state.value = 'connecting'
    let silence: number | undefined
    const heard = () => {
      window.clearTimeout(silence)
      silence = window.setTimeout(() => mine.abort(), options.silenceMs ?? 45_000)
    }
    heard()
    try {
      const headers: Record<string, string> = {
        accept: 'text/event-stream',
        'accept-language': language.peek(),
        authorization: `Bearer ${options.credential}`,
      }
      if (lastId) headers['last-event-id'] = lastId
      const response = await fetch(path, { headers, cache: 'no-store', credentials: 'omit', signal: mine.signal })
      if (response.ok && response.body) {
        failures = 0
        state.value = 'open'
        options.onOpen?.()
        await read(response.body, heard, receive)
      } else if (response.status === 401 || response.status === 403 || response.status === 404) {
        state.value = 'refused'
      }
    } catch {
      // Cut, silent or hidden: what follows decides.
    } finally {
      window.clearTimeout(silence)
      if (connection === mine) connection = null
    }
    if (state.peek() === 'closed' || state.peek() === 'refused') return
    state.value = 'waiting'
    if (document.hidden && !options.whileHidden) return // `seen` connects again
    const pause = Math.min(PAUSE_MS.most, PAUSE_MS.first * 2 ** Math.min(failures++, 6))
    again = window.setTimeout(() => void connect(), pause * (0.5 + Math.random() / 2))
  }

  const seen = () => {
    if (options.whileHidden) return
    if (document.hidden) connection?.abort()
    else retry()
  }
  const retry = () => {
    if (state.peek() !== 'waiting') return
    failures = 0
    void connect()
  }
  const cutOff = () => connection?.abort() // the system knows at once what silence would tell after a while
  document.addEventListener('visibilitychange', seen)
  window.addEventListener('online', retry)
  window.addEventListener('offline', cutOff)
  void connect()

  return {
    state,
    close() {
      state.value = 'closed'
      window.clearTimeout(again)
      document.removeEventListener('visibilitychange', seen)
      window.removeEventListener('online', retry)
      window.removeEventListener('offline', cutOff)
      connection?.abort()
    },
  }
}

async function read(body: ReadableStream<Uint8Array>, heard: () => void, receive: (event: ServerEvent) => void) {
  const reader = body.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>).getReader()
  let rest = ''
  let event: ServerEvent = { id: '', event: '', data: '' }
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    heard()
    const lines = (rest + value).split(/\r\n|\n|\r/)
    rest = lines.pop() ?? ''
    if (rest.length > LINE_CHARACTERS_MAX) throw new RangeError('a line of the event stream is too long')
    for (const line of lines) {
      if (line === '') {
        if (event.data !== '') receive({ ...event, event: event.event || 'message', data: event.data.slice(0, -1) })
        event = { id: '', event: '', data: '' }
        continue
      }
      const colon = line.indexOf(':')
      const field = colon === -1 ? line : line.slice(0, colon)
      const text = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '')
      if (field === 'data') event.data += `${text}\n`
      else if (field === 'event') event.event = text
      else if (field === 'id') event.id = text
    }
  }
}
