/// <reference lib="webworker" />
/**
 * The service worker of the member page: it opens without network. Caches the page's own files and nothing else; calls
 * of the API never pass through it. The build writes the list of files in (vite.config.ts).
 */
const worker = self as unknown as ServiceWorkerGlobalScope
const SHELL = '__TONG_SHELL__'.split(' ')
const PAGE = '/app/'
const KEPT = [PAGE, '/first.js', '/mark.svg', '/app/manifest.webmanifest', ...SHELL]
const CACHE = `tong-app ${fingerprint(SHELL.join())}`
const PAGE_PATIENCE_MS = 1_500

worker.addEventListener('install', (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(CACHE)
      await cache.addAll(KEPT.map((path) => new Request(path, { cache: 'no-cache' })))
      await worker.skipWaiting()
    })(),
  )
})

worker.addEventListener('activate', (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) if (name.startsWith('tong-app ') && name !== CACHE) await caches.delete(name)
      await worker.clients.claim()
    })(),
  )
})

worker.addEventListener('fetch', (event) => {
  const { request } = event
  const address = new URL(request.url)
  if (request.method !== 'GET' || address.origin !== worker.location.origin) return
  if (request.mode === 'navigate' && address.pathname === PAGE) event.respondWith(page(request))
  else if (KEPT.includes(address.pathname)) event.respondWith(kept(request))
})

/** The page as it is now, or as it was kept where the network does not answer soon. */
async function page(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE)
  const old = await cache.match(PAGE)
  try {
    const answer = await fetch(request, old ? { signal: AbortSignal.timeout(PAGE_PATIENCE_MS) } : {})
    return answer.ok || !old ? answer : old
  } catch (fault) {
    if (old) return old
    throw fault
  }
}

async function kept(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE)
  return (await cache.match(request, { ignoreSearch: true })) ?? fetch(request)
}

/** FNV-1a: another list of files is another cache. */
function fingerprint(text: string): string {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return (hash >>> 0).toString(16)
}
