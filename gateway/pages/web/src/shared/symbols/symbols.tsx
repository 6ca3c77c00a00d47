/** The two forms of a member's code as vector drawings, always dark on white: scanners expect it, whatever the theme. */
import { encode } from 'uqr'

import { code128 } from './code128'

/**
 * A QR symbol with its quiet zone of four modules (ISO/IEC 18004 §9.1). As wide as its place allows in whole pixels for
 * each module, so that all are of one size.
 */
export function QrSymbol({ text, label }: { text: string; label: string }) {
  const { data, size } = encode(text, { ecc: 'M', border: 4 })
  let path = ''
  data.forEach((row, y) => {
    for (let x = 0; x < size; x++) {
      const from = x
      while (x < size && row[x]) x++
      if (x > from) path += `M${from} ${y}h${x - from}v1h${from - x}z`
    }
  })
  return (
    <svg class="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label} shape-rendering="crispEdges"
      style={{ width: `round(down, 100%, ${size}px)` }}>
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  )
}

const QUIET = 10

/** Code 128 with its quiet zones of ten modules. */
export function BarSymbol({ digits, label }: { digits: string; label: string }) {
  let at = QUIET
  let path = ''
  code128(digits).forEach((width, index) => {
    if (index % 2 === 0) path += `M${at} 0h${width}v10h${-width}z`
    at += width
  })
  const size = at + QUIET
  return (
    <svg class="bars" viewBox={`0 0 ${size} 10`} preserveAspectRatio="none" role="img" aria-label={label} shape-rendering="crispEdges">
      <rect width={size} height={10} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  )
}
