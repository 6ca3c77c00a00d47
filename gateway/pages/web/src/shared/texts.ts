/** Texts that all pages share. Each page has its own dictionary beside it. */
import { dictionary } from './language'

export const shared = dictionary({
  en: {
    preferences: 'Settings',
    language: 'Language',
    appearance: 'Appearance',
    asSystem: 'Automatic',
    light: 'Light',
    dark: 'Dark',
    signOut: 'Sign out',
    close: 'Close',
    back: 'Back',
    retry: 'Try again',
    loading: 'Loading…',
    toContent: 'Skip to content',
    offline: 'No network',
    unreachable: 'The server does not answer. Check the network and try again.',
    signIn: 'Sign in',
    signInAs: 'Choose who you are',
    demoStack: 'Demo',
    demoExplained: 'This is the development stack. Outside it nobody can choose an identity.',
    otherCredential: 'Sign in with a key',
    pointsOf: (points: string) => `${points} points`,
    outcomeUnknown: 'It is not known yet whether this was applied.',
  },
  'zh-Hant': {
    preferences: '設定',
    language: '語言',
    appearance: '外觀',
    asSystem: '自動',
    light: '淺色',
    dark: '深色',
    signOut: '登出',
    close: '關閉',
    back: '返回',
    retry: '再試一次',
    loading: '載入中…',
    toContent: '跳到內容',
    offline: '沒有網路',
    unreachable: '系統沒有回應，請檢查網路後再試。',
    signIn: '登入',
    signInAs: '請選擇身分',
    demoStack: '示範',
    demoExplained: '這是開發環境；正式環境無法選擇身分。',
    otherCredential: '改用金鑰登入',
    pointsOf: (points: string) => `${points} 積分`,
    outcomeUnknown: '尚不確定這一筆是否已生效。',
  },
  'zh-Hans': {
    preferences: '设置',
    language: '语言',
    appearance: '外观',
    asSystem: '自动',
    light: '浅色',
    dark: '深色',
    signOut: '退出登录',
    close: '关闭',
    back: '返回',
    retry: '再试一次',
    loading: '加载中…',
    toContent: '跳到内容',
    offline: '没有网络',
    unreachable: '系统没有响应，请检查网络后再试。',
    signIn: '登录',
    signInAs: '请选择身份',
    demoStack: '演示',
    demoExplained: '这是开发环境；正式环境无法选择身份。',
    otherCredential: '使用密钥登录',
    pointsOf: (points: string) => `${points} 积分`,
    outcomeUnknown: '尚不确定这一笔是否已生效。',
  },
})

/** Names of the levels where the API gives only their id. */
const tierNames = dictionary<Record<string, string>>({
  en: { standard: 'Standard', silver: 'Silver', gold: 'Gold', diamond: 'Diamond' },
  'zh-Hant': { standard: '普卡', silver: '銀卡', gold: '金卡', diamond: '鑽石' },
  'zh-Hans': { standard: '普卡', silver: '银卡', gold: '金卡', diamond: '钻石' },
})

export function tierName(tier: string): string {
  return tierNames()[tier] ?? tier
}

export const TIERS = ['standard', 'silver', 'gold', 'diamond'] as const

/** The CSS class that gives a level its colour; an unknown level looks like the first. */
export function tierClass(tier: string): (typeof TIERS)[number] {
  return TIERS.find((each) => each === tier) ?? 'standard'
}
