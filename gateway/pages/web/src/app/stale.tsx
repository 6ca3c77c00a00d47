/** What the page says where its data is old, or did not come at all. */
import { moment } from '../shared/format'
import { Notice, Waiting } from '../shared/parts/parts'
import { shared } from '../shared/texts'
import { loadedAt, reached, retryNow, stale } from './member'
import { member } from './texts'

/** Of when the data is, where it may be old. */
export function AsOf() {
  if (!stale.value || loadedAt.value === null) return null
  const at = moment(new Date(loadedAt.value).toISOString())
  return (
    <div class="as-of" role="status">
      <Notice tone="warn" title={reached.value === false ? shared().offline : undefined}>{member().asOf(at)}</Notice>
    </div>
  )
}

/** In place of data that is not there: still on its way, or what can be done about it. */
export function NotThere() {
  if (!stale.value) return <Waiting />
  return (
    <div class="waiting" role="status">
      <p>{reached.value === false ? member().notLoadedOffline : member().notLoaded}</p>
      <button type="button" class="button quiet" onClick={retryNow}>{shared().retry}</button>
    </div>
  )
}
