/** One chart of the last hour. Charts share the cursor and the zoom: drag over one to look closer, double click for all. */
import { effect, signal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'

import { language } from '../shared/language'
import { theme } from '../shared/theme'
import { drawn, series } from './figures'
import { HOUR_SECONDS, type Column } from './series'

/** From and to in seconds; null: everything, and following. */
export const zoom = signal<{ from: number; to: number } | null>(null)
/** How many seconds are shown when nothing is zoomed. */
export const shown = signal(900)

const SYNC = uPlot.sync('tong')
/** Sizes at the usual size of text; what is drawn on a canvas grows with the page's text by itself only here. */
const HEIGHT = 180
const AXIS_WIDTH = 78
const TEXT_PX = 12
/** Steps of an axis of bytes, from 256 KiB to 4 TiB: whole numbers of its units. */
export const BYTE_STEPS = Array.from({ length: 25 }, (_, power) => 2 ** (18 + power))

export interface Line {
  column: Column
  label: string
  /** A colour of the tokens. */
  colour: string
  fill?: boolean
}

function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}

export function Chart({ title, lines, format, steps, smooth = 5 }: { title: string; lines: readonly Line[]; format: (value: number) => string; steps?: number[]; smooth?: number }) {
  const place = useRef<HTMLDivElement>(null)
  const dark = matchMedia('(prefers-color-scheme: dark)')

  useEffect(() => {
    const root = place.current
    if (!root) return
    let plot: uPlot | null = null

    function make(): void {
      plot?.destroy()
      const larger = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16
      const axis = { stroke: token('--soft'), grid: { stroke: token('--line'), width: 1 }, ticks: { stroke: token('--line'), width: 1 }, font: `${TEXT_PX * larger}px system-ui` }
      const time = new Intl.DateTimeFormat(language.peek(), { hour: '2-digit', minute: '2-digit', hour12: false })
      plot = new uPlot(
        {
          width: root!.clientWidth,
          height: HEIGHT,
          legend: { show: false },
          cursor: { sync: { key: SYNC.key, setSeries: false }, drag: { x: true, y: false }, points: { size: 7 } },
          scales: { x: { time: true }, y: { range: (_plot, _low, high) => [0, Math.max(high * 1.15, 0.001)] } },
          axes: [
            { ...axis, size: 28 * larger, values: (_plot, splits) => splits.map((at) => time.format(at * 1000)), space: 70 * larger },
            { ...axis, ...(steps ? { incrs: steps } : {}), size: Math.min(AXIS_WIDTH * larger, root!.clientWidth / 3), values: (_plot, splits) => splits.map((value) => (value === null ? '' : format(value))) },
          ],
          series: [
            {},
            ...lines.map((line) => ({
              label: line.label,
              stroke: token(line.colour),
              width: 2,
              spanGaps: false,
              points: { show: false },
              ...(line.fill ? { fill: `color-mix(in srgb, ${token(line.colour)} 16%, transparent)` } : {}),
            })),
          ],
          hooks: {
            setSelect: [
              (made) => {
                if (made.select.width > 4)
                  zoom.value = { from: made.posToVal(made.select.left, 'x'), to: made.posToVal(made.select.left + made.select.width, 'x') }
                made.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
              },
            ],
            setCursor: [(made) => say(made)],
          },
        },
        series.current.columns(lines.map((line) => line.column), smooth) as uPlot.AlignedData,
        root!,
      )
      plot.over.addEventListener('dblclick', () => (zoom.value = null))
      range()
    }

    function say(made: uPlot): void {
      const index = made.cursor.idx
      lines.forEach((_line, number) => {
        const cell = root!.parentElement?.querySelector(`[data-line="${number}"]`)
        const values = made.data[number + 1]
        const value = index === null || index === undefined ? lastKnown(values) : values?.[index]
        if (cell) cell.textContent = value === null || value === undefined ? '–' : format(value)
      })
    }

    function range(): void {
      const times = plot?.data[0]
      const last = times?.at(-1) ?? Math.floor(Date.now() / 1000)
      const { from, to } = zoom.peek() ?? { from: last - Math.min(shown.peek(), HOUR_SECONDS), to: last }
      plot?.setScale('x', { min: from, max: to })
    }

    const stopTheme = effect(() => {
      void theme.value
      void language.value
      make()
    })
    const stopDrawing = effect(() => {
      void drawn.value
      plot?.setData(series.current.columns(lines.map((line) => line.column), smooth) as uPlot.AlignedData, false)
      range()
      if (plot) say(plot)
    })
    const stopZoom = effect(() => {
      void zoom.value
      void shown.value
      range()
    })
    const resized = new ResizeObserver(() => plot?.setSize({ width: root.clientWidth, height: HEIGHT }))
    resized.observe(root)
    dark.addEventListener('change', make)
    return () => {
      stopTheme()
      stopDrawing()
      stopZoom()
      resized.disconnect()
      dark.removeEventListener('change', make)
      plot?.destroy()
    }
  }, [])

  return (
    <figure class="chart card">
      <figcaption>
        <h2>{title}</h2>
        <ul class="legend">
          {lines.map((line, number) => (
            <li key={line.column} class={`key ${line.colour.slice(2)}`}>
              <span class="swatch" aria-hidden="true" />
              {line.label} <b class="figure" data-line={number}>–</b>
            </li>
          ))}
        </ul>
      </figcaption>
      <div ref={place} class="plot" />
    </figure>
  )
}

function lastKnown(values: ArrayLike<number | null | undefined> | undefined): number | null {
  for (let index = (values?.length ?? 0) - 1; index >= 0; index -= 1) {
    const value = values?.[index]
    if (value !== null && value !== undefined) return value
  }
  return null
}
