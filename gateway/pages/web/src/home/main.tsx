/** The way in: which page is for whom. */
import '../shared/style/tokens.css'
import '../shared/style/base.css'
import './home.css'

import { render } from 'preact'

import { keepDemoToken } from '../shared/demo'
import { dictionary } from '../shared/language'
import { Icon, type IconName } from '../shared/parts/icon'
import { TopBar } from '../shared/parts/top_bar'

const texts = dictionary({
  en: {
    headline: 'One membership. Every business. Exactly once.',
    lead: 'The member shows a code, the till scans it, and within a blink everybody knows what was taken, what is left and who owes whom.',
    member: 'Member', memberText: 'My code, benefits, points and history',
    scanner: 'Scanner', scannerText: 'For the shop’s tablet or the front desk',
    operations: 'Operations', operationsText: 'Live figures, alarms and refusals',
    docs: 'Interface', docsText: 'For those who connect a till, an app or an ERP',
  },
  'zh-Hant': {
    headline: '一個會員，處處通用，只扣一次。',
    lead: '會員出示動態碼，收銀台一掃，眨眼之間就知道扣了什麼、剩下多少、誰該付給誰。',
    member: '會員', memberText: '會員碼、權益、積分與紀錄',
    scanner: '核銷', scannerText: '門店平板或櫃台電腦使用',
    operations: '營運', operationsText: '即時數據、警示與拒絕原因',
    docs: '介面文件', docsText: '串接收銀機、應用程式或 ERP',
  },
  'zh-Hans': {
    headline: '一个会员，处处通用，只扣一次。',
    lead: '会员出示动态码，收银台一扫，眨眼之间就知道扣了什么、剩下多少、谁该付给谁。',
    member: '会员', memberText: '会员码、权益、积分与记录',
    scanner: '核销', scannerText: '门店平板或柜台电脑使用',
    operations: '运营', operationsText: '实时数据、告警与拒绝原因',
    docs: '接口文档', docsText: '对接收银机、应用或 ERP',
  },
})

function Home() {
  const t = texts()
  const doors: { to: string; icon: IconName; name: string; text: string }[] = [
    { to: '/app/', icon: 'code', name: t.member, text: t.memberText },
    { to: '/scanner/', icon: 'scan', name: t.scanner, text: t.scannerText },
    { to: '/ops/', icon: 'chart', name: t.operations, text: t.operationsText },
    { to: '/docs', icon: 'list', name: t.docs, text: t.docsText },
  ]
  return (
    <>
      <TopBar title="Tong 通" />
      <main id="content" class="home">
        <h1>{t.headline}</h1>
        <p class="lead">{t.lead}</p>
        <ul class="doors">
          {doors.map((door) => (
            <li key={door.to}>
              <a class="card door" href={door.to}>
                <span class="door-icon"><Icon name={door.icon} size={30} /></span>
                <span>
                  <span class="strong">{door.name}</span>
                  <span class="small soft">{door.text}</span>
                </span>
                <Icon name="chevron" size={20} />
              </a>
            </li>
          ))}
        </ul>
      </main>
    </>
  )
}

keepDemoToken()
addEventListener('hashchange', keepDemoToken)
render(<Home />, document.getElementById('root')!)
