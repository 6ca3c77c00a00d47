/** A gentle sound and a short vibration when something happened; both can be switched off, and a browser may refuse. */
import { signal } from '@preact/signals'

const KEPT_AS = 'tong.member.sound'
export const sound = signal(localStorage.getItem(KEPT_AS) !== 'off')

export function chooseSound(on: boolean): void {
  localStorage.setItem(KEPT_AS, on ? 'on' : 'off')
  sound.value = on
}

const NOTES = { taken: [880, 1174.7], received: [784, 987.8, 1318.5] } as const
const NOTE_SECONDS = 0.13
let audio: AudioContext | null = null

// A browser lets a page sound only after somebody touched it: the first touch readies it.
function ready(): void {
  audio ??= new AudioContext()
  if (audio.state === 'suspended') void audio.resume()
}
window.addEventListener('pointerdown', ready, { once: true })

export function attention(kind: keyof typeof NOTES): void {
  if (!sound.peek()) return
  if (navigator.userActivation?.hasBeenActive) navigator.vibrate?.(kind === 'taken' ? [40, 60, 40] : [30])
  if (audio?.state !== 'running') return
  NOTES[kind].forEach((frequency, index) => {
    const at = audio!.currentTime + index * NOTE_SECONDS
    const tone = audio!.createOscillator()
    const volume = audio!.createGain()
    tone.type = 'sine'
    tone.frequency.value = frequency
    volume.gain.setValueAtTime(0, at)
    volume.gain.linearRampToValueAtTime(0.12, at + 0.015)
    volume.gain.exponentialRampToValueAtTime(0.001, at + NOTE_SECONDS * 2.2)
    tone.connect(volume).connect(audio!.destination)
    tone.start(at)
    tone.stop(at + NOTE_SECONDS * 2.4)
  })
}

let lock: WakeLockSentinel | null = null
/** Keeps the screen on while a code is shown; without it a phone dims just when it is held to a scanner. */
export async function keepAwake(on: boolean): Promise<void> {
  if (!on) {
    await lock?.release()
    lock = null
    return
  }
  if (lock && !lock.released) return
  try {
    lock = (await navigator.wakeLock?.request('screen')) ?? null
  } catch {
    lock = null // low battery or hidden: the page works without
  }
}
