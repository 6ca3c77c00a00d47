import '../shared/style/tokens.css'
import '../shared/style/base.css'
import './app.css'

import { render } from 'preact'

import { findDevice } from './device'
import { Page } from './page'

// The key of this device first, so that a page without network shows its code at once. Storage may be refused.
findDevice().catch(() => undefined).finally(() => render(<Page />, document.getElementById('root')!))

if ('serviceWorker' in navigator) {
  navigator.serviceWorker.register('/app/worker.js', { scope: '/app/' }).catch((fault: unknown) => {
    console.warn('the page will not open without network:', fault)
  })
}
