/** What the categories of bills and rules are called. */
import { dictionary } from './language'

/** They are slugs that the group agrees on; those of the kinds of business that a group has are called by a word. */
const categories = dictionary<Partial<Record<string, string>>>({
  en: { dining: 'Dining', groceries: 'Groceries', room: 'Room', spa: 'Spa', parking: 'Parking', retail: 'Shopping', ticket: 'Tickets', drinks: 'Drinks' },
  'zh-Hant': { dining: '餐飲', groceries: '超市', room: '住房', spa: '水療', parking: '停車', retail: '購物', ticket: '門票', drinks: '酒水' },
  'zh-Hans': { dining: '餐饮', groceries: '超市', room: '住房', spa: '水疗', parking: '停车', retail: '购物', ticket: '门票', drinks: '酒水' },
})

export function categoryName(category: string): string {
  return categories()[category] ?? category
}
