/**
 * The application's icons as PNG, drawn at build time from the mark's geometry (src/shared/parts/mark.tsx) with signed
 * distances; nothing binary is kept in the repository.
 */
import { deflateSync } from 'node:zlib'

const GREEN = [11, 110, 95] as const
const WHITE = [255, 255, 255] as const
const MINT = [159, 227, 210] as const

/** A square icon of `size` pixels. `maskable` fills the corners: the platform cuts its own shape (W3C manifest). */
export function icon(size: number, maskable: boolean): Buffer {
  const zoom = maskable ? 1.25 : 1 // the safe zone is the inner 80 %
  const rows = Buffer.alloc(size * (size * 4 + 1))
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const u = (((x + 0.5) / size) * 64 - 32) * zoom
      const v = (((y + 0.5) / size) * 64 - 32) * zoom
      const pixel = (64 / size) * zoom
      const inside = maskable ? 1 : coverage(roundedSquare(u, v, 32, 15), pixel)
      const gate = coverage(gateDistance(u, v) - 3.25, pixel)
      const passing = coverage(Math.hypot(u, v - 4) - 6, pixel)
      const at = y * (size * 4 + 1) + 1 + x * 4
      for (let c = 0; c < 3; c++) {
        let value = mix(GREEN[c]!, WHITE[c]!, gate)
        value = mix(value, MINT[c]!, passing)
        rows[at + c] = Math.round(value)
      }
      rows[at + 3] = Math.round(inside * 255)
    }
  }
  return png(size, rows)
}

const mix = (from: number, to: number, share: number) => from + (to - from) * share
const coverage = (distance: number, pixel: number) => Math.min(1, Math.max(0, 0.5 - distance / pixel))

function roundedSquare(u: number, v: number, half: number, radius: number): number {
  const x = Math.abs(u) - half + radius
  const y = Math.abs(v) - half + radius
  return Math.hypot(Math.max(x, 0), Math.max(y, 0)) + Math.min(Math.max(x, y), 0) - radius
}

/** Distance to the middle line of the gate: a half circle of radius 15 around (0, -1) on two posts down to 16. */
function gateDistance(u: number, v: number): number {
  if (v <= -1) return Math.abs(Math.hypot(u, v + 1) - 15)
  return Math.hypot(Math.abs(u) - 15, Math.max(0, v - 16))
}

function png(size: number, rows: Buffer): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(size, 0)
  header.writeUInt32BE(size, 4)
  header.set([8, 6, 0, 0, 0], 8)
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', deflateSync(rows, { level: 9 })), chunk('IEND', Buffer.alloc(0))])
}

function chunk(kind: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(kind, 'latin1'), data])
  const framed = Buffer.alloc(body.length + 8)
  framed.writeUInt32BE(data.length, 0)
  body.copy(framed, 4)
  framed.writeUInt32BE(crc32(body), body.length + 4)
  return framed
}

function crc32(bytes: Buffer): number {
  let remainder = 0xffffffff
  for (const byte of bytes) {
    remainder ^= byte
    for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0xedb88320 : 0)
  }
  return (remainder ^ 0xffffffff) >>> 0
}
