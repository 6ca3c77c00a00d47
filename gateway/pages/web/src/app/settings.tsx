/** The member's part of the settings: sound, codes without network, signing out. */
import { useSignal } from '@preact/signals'

import { Icon } from '../shared/parts/icon'
import { Choice, Notice } from '../shared/parts/parts'
import { shared } from '../shared/texts'
import { chooseSound, sound } from './attention'
import { forgetCodes } from './codes'
import { device, enrol, takeOff } from './device'
import { leave, me } from './member'
import { member } from './texts'

export function MemberSettings() {
  const t = member()
  return (
    <>
      <div class="field">
        <span class="label">{t.sound}</span>
        <Choice
          label={t.sound}
          options={[{ value: 'on', text: t.on }, { value: 'off', text: t.off }]}
          chosen={sound.value ? 'on' : 'off'}
          onChoose={(chosen) => chooseSound(chosen === 'on')}
        />
      </div>
      <OfflineCodes />
      <button type="button" class="button quiet wide" onClick={() => { forgetCodes(); leave() }}>{shared().signOut}</button>
    </>
  )
}

function OfflineCodes() {
  const t = member()
  const busy = useSignal(false)
  const fault = useSignal<string | null>(null)
  async function change(): Promise<void> {
    const who = me.peek()
    if (!who || busy.value) return
    busy.value = true
    try {
      if (device.value) fault.value = (await takeOff()) ? null : t.offlineFailed
      else {
        const refused = await enrol(who.member_id, t.deviceName(who.display_name))
        fault.value = refused === null ? null : refused || t.offlineFailed
      }
    } catch {
      fault.value = t.offlineFailed // this browser keeps no keys (private window)
    }
    busy.value = false
  }
  return (
    <div class="field">
      <span class="label">{t.offlineTitle}</span>
      <p class="small soft">{t.offlineExplained}</p>
      {device.value && <Notice tone="good">{t.offlineReady}</Notice>}
      <div role="alert">{fault.value && <Notice tone="bad">{fault.value}</Notice>}</div>
      <button type="button" class="button quiet" disabled={busy.value} onClick={() => void change()}>
        <Icon name="phone" size={20} />
        {device.value ? t.offlineTakeOff : t.offlineSetUp}
      </button>
    </div>
  )
}
