/** What a cashier hears without looking: read, taken, not taken. A browser may refuse until the page was touched. */
const NOTES = { read: [1_320], good: [880, 1_320], bad: [220, 180] } as const
const NOTE_SECONDS = 0.09

let audio: AudioContext | null = null
function ready(): void {
  audio ??= new AudioContext()
  if (audio.state === 'suspended') void audio.resume()
}
window.addEventListener('pointerdown', ready, { once: true })
window.addEventListener('keydown', ready, { once: true })

export function beep(kind: keyof typeof NOTES): void {
  if (kind === 'bad' && navigator.userActivation?.hasBeenActive) navigator.vibrate?.([80, 60, 80])
  if (audio?.state !== 'running') return
  NOTES[kind].forEach((frequency, index) => {
    const at = audio!.currentTime + index * NOTE_SECONDS
    const tone = audio!.createOscillator()
    const volume = audio!.createGain()
    tone.type = kind === 'bad' ? 'square' : 'sine'
    tone.frequency.value = frequency
    volume.gain.setValueAtTime(kind === 'bad' ? 0.05 : 0.1, at)
    volume.gain.exponentialRampToValueAtTime(0.001, at + NOTE_SECONDS)
    tone.connect(volume).connect(audio!.destination)
    tone.start(at)
    tone.stop(at + NOTE_SECONDS)
  })
}
