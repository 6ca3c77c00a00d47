/** Drawn for this product on a grid of 24, lines of 1.75. Always beside a text or inside something labelled. */

const PATHS = {
  code: 'M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h2.5v2.5M20 14v6h-3.5M14 20v-1.5',
  gift: 'M4 11h16v9H4zM3 7.5h18V11H3zM12 7.5V20M12 7.5S10.8 3.5 8.3 3.5a2 2 0 0 0 0 4zM12 7.5s1.2-4 3.7-4a2 2 0 0 1 0 4z',
  coins: 'M12 5c3.9 0 7 1.1 7 2.6S15.9 10.2 12 10.2 5 9.1 5 7.6 8.1 5 12 5zM5 7.600v8.800C5 17.9 8.1 19 12 19s7-1.1 7-2.600V7.600M5 12c0 1.5 3.1 2.6 7 2.600s7-1.1 7-2.6',
  list: 'M8.5 6.500H20M8.5 12H20M8.5 17.500H20M4.2 6.500h.1M4.2 12h.1M4.2 17.500h.1',
  settings: 'M4 7h9M17 7h3M4 17h3M11 17h9M15 4.800a2.2 2.2 0 1 1 0 4.4 2.2 2.2 0 0 1 0-4.400zM9 14.800a2.2 2.2 0 1 1 0 4.4 2.2 2.2 0 0 1 0-4.400z',
  check: 'M5 12.500l4.5 4.500L19 7.5',
  cross: 'M6 6l12 12M18 6L6 18',
  warning: 'M12 4L2.8 20h18.400zM12 10v4.500M12 17.200h.01',
  info: 'M12 3.500a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17zM12 11v5M12 8h.01',
  question: 'M12 3.500a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17zM9.6 9.500a2.4 2.4 0 1 1 3.5 2.200c-.7.4-1.1.9-1.1 1.800M12 16.500h.01',
  offline: 'M3 3l18 18M8.5 15.500a5 5 0 0 1 5.5-1M5 12a9.5 9.5 0 0 1 4-2.300M2 8.500A14 14 0 0 1 6 6M11 5.100A14 14 0 0 1 22 8.500M14.5 10a9.5 9.5 0 0 1 4.5 2M12 19h.01',
  refresh: 'M20 11a8 8 0 1 0-2.3 6M20 4.500V11h-6.5',
  clock: 'M12 3.500a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17zM12 7.500V12l3 2',
  place: 'M12 21s-6.5-5.7-6.5-11a6.5 6.5 0 0 1 13 0c0 5.3-6.5 11-6.5 11zM12 7.700a2.3 2.3 0 1 1 0 4.6 2.3 2.3 0 0 1 0-4.600z',
  user: 'M12 4a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM4.5 20c.8-3.7 3.8-5.5 7.5-5.500s6.7 1.8 7.5 5.5',
  lock: 'M5.5 11h13v9h-13zM8.5 11V7.500a3.5 3.5 0 0 1 7 0V11',
  sun: 'M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM12 2.500v2M12 19.500v2M2.5 12h2M19.5 12h2M5.3 5.300l1.4 1.400M17.3 17.300l1.4 1.400M5.3 18.700l1.4-1.400M17.3 6.700l1.4-1.4',
  phone: 'M7.5 2.800h9a1 1 0 0 1 1 1v16.400a1 1 0 0 1-1 1h-9a1 1 0 0 1-1-1V3.800a1 1 0 0 1 1-1zM11 18h2',
  sound: 'M4 9.500h3.500L12 5.500v13l-4.5-4H4zM15.5 9a4 4 0 0 1 0 6M18 6.500a8 8 0 0 1 0 11',
  silent: 'M4 9.500h3.500L12 5.500v13l-4.5-4H4zM16 9.500l5 5M21 9.500l-5 5',
  camera: 'M3.5 7.500h4l1.5-2.500h6l1.5 2.500h4v12h-17zM12 10a3.3 3.3 0 1 1 0 6.6 3.3 3.3 0 0 1 0-6.600z',
  torch: 'M7 3h10v3l-2 4v11H9V10L7 6zM7 6h10M12 13v2.5',
  keyboard: 'M2.5 6.500h19v11h-19zM6 10h.01M9 10h.01M12 10h.01M15 10h.01M18 10h.01M8 14h8',
  scan: 'M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4M4 12h16',
  chevron: 'M9.5 6l6 6-6 6',
  plus: 'M12 5v14M5 12h14',
  minus: 'M5 12h14',
  pause: 'M8.5 5.500v13M15.5 5.500v13',
  play: 'M7.5 5l11 7-11 7z',
  search: 'M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM15.5 15.500L20.5 20.5',
  undo: 'M8.5 5L4 9.5 8.5 14M4 9.500h10a5.5 5.5 0 0 1 0 11h-3',
  chart: 'M4 4v16h16M7.5 15.500l4-5 3 3 5-7',
  bell: 'M6 16.500V11a6 6 0 0 1 12 0v5.500l1.5 1.500h-15zM10 20.500h4',
  store: 'M4.5 10v10h15V10M3 10l2-6h14l2 6c0 1.5-1.2 2.5-2.5 2.500S16.5 11.5 15.5 11c-.7 1-1.9 1.5-3.5 1.500s-2.8-.5-3.5-1.500c-1 .5-1.7 1.5-3 1.500S3 11.5 3 10z',
} as const

export type IconName = keyof typeof PATHS

export function Icon({ name, size = 24 }: { name: IconName; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75"
      stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  )
}
