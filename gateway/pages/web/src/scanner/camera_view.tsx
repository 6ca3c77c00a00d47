/** Reading with a camera: QR and Code 128, decoded on this device by zxing-wasm that comes from this host. */
import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { prepareZXingModule, readBarcodes } from 'zxing-wasm/reader'
import wasm from 'zxing-wasm/reader/zxing_reader.wasm?url'

import { Icon } from '../shared/parts/icon'
import { Notice } from '../shared/parts/parts'
import { scanner } from './texts'
import { looksLikeCode } from './wedge'

const EVERY_MS = 120
const SIDE_MAX = 960
const KEPT_AS = 'tong.scanner.camera'

prepareZXingModule({ overrides: { locateFile: (path: string) => (path.endsWith('.wasm') ? wasm : path) } })

interface TorchTrack extends MediaStreamTrack {
  getCapabilities(): MediaTrackCapabilities & { torch?: boolean }
}

/** The camera of that id; the one that looks away from the person where there is none (any more). */
async function opened(id: string): Promise<MediaStream> {
  const size = { width: { ideal: 1280 }, height: { ideal: 720 } }
  // Not `ideal`: a browser weighs that against the size, and shows another camera that is nearer to 1280 by 720.
  const wanted: MediaTrackConstraints = id ? { deviceId: { exact: id } } : { facingMode: { ideal: 'environment' } }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: false, video: { ...size, ...wanted } })
  } catch (cause) {
    const gone = cause instanceof DOMException && (cause.name === 'OverconstrainedError' || cause.name === 'NotFoundError')
    if (!id || !gone) throw cause
    return opened('')
  }
}

export function CameraView({ onCode, onClose }: { onCode: (text: string) => void; onClose: () => void }) {
  const t = scanner()
  const video = useRef<HTMLVideoElement>(null)
  const cameras = useSignal<readonly MediaDeviceInfo[]>([])
  const chosen = useSignal<string>(localStorage.getItem(KEPT_AS) ?? '')
  const fault = useSignal<string | null>(null)
  const track = useSignal<TorchTrack | null>(null)
  const torch = useSignal(false)

  useEffect(() => {
    let over = false
    let stream: MediaStream | null = null
    let timer: ReturnType<typeof setTimeout> | undefined
    const canvas = document.createElement('canvas')
    const context = canvas.getContext('2d', { willReadFrequently: true })

    async function look(): Promise<void> {
      const film = video.current
      if (over || !film || !context) return
      if (film.readyState >= 2 && film.videoWidth > 0) {
        const scale = Math.min(1, SIDE_MAX / Math.max(film.videoWidth, film.videoHeight))
        canvas.width = Math.round(film.videoWidth * scale)
        canvas.height = Math.round(film.videoHeight * scale)
        context.drawImage(film, 0, 0, canvas.width, canvas.height)
        const found = await readBarcodes(context.getImageData(0, 0, canvas.width, canvas.height), {
          formats: ['QRCode', 'Code128'], tryHarder: true, maxNumberOfSymbols: 4,
        })
        const read = found.map((each) => each.text.trim()).find(looksLikeCode)
        if (over) return
        if (read) {
          onCode(read)
          return
        }
      }
      timer = setTimeout(() => void look().catch(failed), EVERY_MS)
    }

    function failed(cause: unknown): void {
      const name = cause instanceof DOMException ? cause.name : ''
      fault.value = name === 'NotFoundError' || name === 'OverconstrainedError' ? t.cameraNone : t.cameraRefused
    }

    async function start(): Promise<void> {
      stream = await opened(chosen.value)
      if (over || !video.current) {
        stream.getTracks().forEach((each) => each.stop())
        return
      }
      video.current.srcObject = stream
      await video.current.play()
      track.value = (stream.getVideoTracks()[0] as TorchTrack | undefined) ?? null
      cameras.value = (await navigator.mediaDevices.enumerateDevices()).filter((each) => each.kind === 'videoinput')
      await look()
    }

    fault.value = null
    track.value = null
    torch.value = false // another camera's light, and a fresh stream's is off
    if (navigator.mediaDevices) start().catch(failed)
    else fault.value = t.cameraRefused // only https and this machine itself may use a camera
    return () => {
      over = true
      clearTimeout(timer)
      stream?.getTracks().forEach((each) => each.stop())
    }
  }, [chosen.value])

  async function switchTorch(): Promise<void> {
    const lit = track.value
    const wanted = !torch.value
    try {
      await lit?.applyConstraints({ advanced: [{ torch: wanted } as MediaTrackConstraintSet] })
    } catch {
      return // the camera keeps its light to itself: the button stays as it is
    }
    if (track.value === lit) torch.value = wanted
  }

  // The one that looks, which is not always the one that was wished for: that may be gone, or nothing was wished yet.
  const looking = track.value?.getSettings().deviceId ?? chosen.value
  const hasTorch = track.value?.getCapabilities?.().torch === true
  return (
    <div class="camera card">
      {fault.value ? <Notice tone="warn">{fault.value}</Notice> : (
        <div class="film">
          <video ref={video} muted playsInline aria-label={t.cameraHint} />
          <span class="finder" aria-hidden="true" />
          <p class="film-hint">{t.cameraHint}</p>
        </div>
      )}
      <div class="row camera-ways">
        <button type="button" class="button quiet" onClick={onClose}>{t.stopCamera}</button>
        <span class="grow" />
        {hasTorch && (
          <button type="button" class="icon-button" aria-label={t.torch} aria-pressed={torch.value} onClick={() => void switchTorch()}>
            <Icon name="torch" />
          </button>
        )}
        {cameras.value.length > 1 && (
          <select class="input camera-choice" aria-label={t.camera} value={looking}
            onChange={(event) => {
              localStorage.setItem(KEPT_AS, event.currentTarget.value)
              chosen.value = event.currentTarget.value
            }}>
            {cameras.value.map((each, index) => (
              <option key={each.deviceId} value={each.deviceId}>{each.label || `${t.camera} ${index + 1}`}</option>
            ))}
          </select>
        )}
      </div>
    </div>
  )
}
