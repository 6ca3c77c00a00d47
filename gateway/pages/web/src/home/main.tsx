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
    lead: 'The member shows a code, the till scans it, and within a blink everybody knows what was used, what is left and which business owes which.',
    member: 'Member', memberText: 'Member code, benefits, points and history',
    scanner: 'Scanner', scannerText: 'For the shop’s tablet or the front desk',
    operations: 'Operations', operationsText: 'Live figures, alarms and refusals',
    docs: 'API', docsText: 'For those who connect a till, an app or an ERP',
  },
  'zh-Hant': {
    headline: '一個會員身分，集團通用，每筆只扣一次。',
    lead: '會員出示會員碼，收銀台一掃，立即知道扣了什麼、剩下多少、業態之間如何結算。',
    member: '會員', memberText: '會員碼、權益、積分與紀錄',
    scanner: '核銷', scannerText: '門店平板或櫃台電腦使用',
    operations: '營運監控', operationsText: '即時數據、警示與拒絕原因',
    docs: 'API 文件', docsText: '串接收銀機、App 或 ERP',
  },
  'zh-Hans': {
    headline: '一个会员身份，集团通用，每笔只扣一次。',
    lead: '会员出示会员码，收银台一扫，立即知道扣了什么、剩下多少、业态之间如何结算。',
    member: '会员', memberText: '会员码、权益、积分与记录',
    scanner: '核销', scannerText: '门店平板或柜台电脑使用',
    operations: '运营监控', operationsText: '实时数据、警报与拒绝原因',
    docs: 'API 文档', docsText: '对接收银机、App 或 ERP',
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
