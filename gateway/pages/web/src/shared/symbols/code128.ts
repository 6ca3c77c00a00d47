/**
 * Code 128, code set C (ISO/IEC 15417): an even number of digits, two to a symbol character. Written here because the
 * pages show nothing else in it; a general barcode library weighs forty times as much.
 */

// Widths of bar, space, bar, space, bar, space of the values 0 to 105 (Table 1); 103–105 start, the stop pattern apart.
const WIDTHS =
  '212222222122222221121223121322131222122213122312132212221213221312231212112232122132122231113222123122123221223211' +
  '221132221231213212223112312131311222321122321221312212322112322211212123212321232121111323131123131321112313132113' +
  '132311211313231113231311112133112331132131113123113321133121313121211331231131213113213311213131311123311321331121' +
  '312113312311332111314111221411431111111224111422121124121421141122141221112214112412122114122411142112142211241211' +
  '221114413111241112134111111242121142121241114212124112124211411212421112421211212141214121412121111143111341131141' +
  '114113114311411113411311113141114131311141411131211412211214211232'
const STOP = '2331112'
const START_C = 105

/** Widths of bars and spaces in modules, beginning with a bar. Throws RangeError for anything but an even run of digits. */
export function code128(digits: string): number[] {
  if (!/^(\d\d){1,24}$/.test(digits)) throw new RangeError('code set C takes an even number of digits, at most 48')
  const values = [START_C, ...(digits.match(/../g) ?? []).map(Number)]
  const check = values.reduce((sum, value, place) => sum + value * Math.max(1, place), 0) % 103
  const pattern = [...values, check].map((value) => WIDTHS.slice(value * 6, value * 6 + 6)).join('') + STOP
  return [...pattern].map(Number)
}
