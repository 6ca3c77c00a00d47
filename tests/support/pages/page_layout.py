"""Layout faults that axe-core does not look for: text cut off, texts over one another, controls that nobody can reach.

LAYOUT is a function for the page; it returns sentences, none where all is well:

    sideways      the page scrolls sideways
    cut off       text beyond the edge of what clips it, or of the window (places that scroll are let be)
    overlapping   two texts whose lines cover each other by more than a sliver
    unreachable   a control that cannot be brought into view, or that something else covers when it is there
"""

from typing import Final

LAYOUT: Final = """() => {
    const SLIVER = 3
    const found = []
    const root = document.scrollingElement
    if (root.scrollWidth > innerWidth + 1) found.push(`sideways: ${root.scrollWidth} in a window of ${innerWidth}`)
    const dialog = [...document.querySelectorAll('dialog[open]')].at(-1)
    const within = dialog ?? document.body
    const name = (element) => `${element.tagName.toLowerCase()}.${element.getAttribute('class') ?? ''}`
    const shown = (element) => element.checkVisibility({checkOpacity: true, checkVisibilityCSS: true})
    const scrolls = (style) => /auto|scroll/.test(style.overflowX + style.overflowY)
    const hidden = (element) => element.closest('.unseen, .skip, .u-over, svg, option') !== null

    const known = new Map()  // what an element and those around it do to a text within
    const around = (element) => {
        if (!element || element === within.parentElement)
            return {floating: false, clip: null, free: false, ellipsis: false, heard: false}
        if (known.has(element)) return known.get(element)
        const {...told} = around(element.parentElement), style = getComputedStyle(element)
        if (/fixed|sticky/.test(style.position)) told.floating = true
        if (style.clipPath !== 'none' && element.clientWidth <= 1) told.heard = true  // for screen readers only
        if (style.textOverflow === 'ellipsis' && element.scrollWidth > element.clientWidth + 1) told.ellipsis = true
        if (element !== document.body && element !== document.documentElement) {
            if (scrolls(style)) [told.free, told.clip] = [true, null]
            else if (/hidden|clip/.test(style.overflowX + style.overflowY)) told.clip = element.getBoundingClientRect()
        }
        known.set(element, told)
        return told
    }
    const lines = []  // every line of text: its element, its rectangle, whether it floats above the page
    const walker = document.createTreeWalker(within, NodeFilter.SHOW_TEXT)
    while (walker.nextNode()) {
        const node = walker.currentNode, element = node.parentElement
        if (!node.data.trim() || !element || hidden(element) || !shown(element)) continue
        const range = document.createRange()
        range.selectNodeContents(node)
        const {floating, clip, free, ellipsis, heard} = around(element)
        if (heard) continue
        if (ellipsis) found.push(`cut off: "${node.data.trim().slice(0, 40)}" in ${name(element)}`)
        for (const rect of range.getClientRects()) {
            if (rect.width < 1 || rect.height < 1) continue
            lines.push({element, rect, floating, text: node.data.trim()})
            const beyond = (box) => rect.left < box.left - SLIVER || rect.right > box.right + SLIVER
            const outside = clip && (beyond(clip) || rect.top < clip.top - SLIVER || rect.bottom > clip.bottom + SLIVER)
            if (outside || (!free && beyond({left: 0, right: innerWidth})))
                found.push(`cut off: "${node.data.trim().slice(0, 40)}" in ${name(element)}`)
        }
    }
    lines.sort((one, other) => one.rect.top - other.rect.top)
    for (let i = 0; i < lines.length; i++)
        for (let j = i + 1; j < lines.length && lines[j].rect.top < lines[i].rect.bottom; j++) {
            const one = lines[i], other = lines[j]
            if (one.element === other.element || one.floating !== other.floating) continue
            const wide = Math.min(one.rect.right, other.rect.right) - Math.max(one.rect.left, other.rect.left)
            const high = Math.min(one.rect.bottom, other.rect.bottom) - Math.max(one.rect.top, other.rect.top)
            // The boxes of lines reach beyond their letters: a third of a line may be shared by what is set tight.
            if (wide > SLIVER && high > Math.min(one.rect.height, other.rect.height) / 3)
                found.push(`overlapping: "${one.text.slice(0, 30)}" and "${other.text.slice(0, 30)}"`)
        }
    const before = [scrollX, scrollY]
    for (const control of within.querySelectorAll('button, a[href], input, select, summary')) {
        if (hidden(control) || !shown(control) || control.disabled) continue
        control.scrollIntoView({block: 'center', inline: 'nearest', behavior: 'instant'})
        const rect = control.getBoundingClientRect()
        const x = rect.left + rect.width / 2, y = rect.top + Math.min(rect.height, innerHeight) / 2
        const hit = document.elementFromPoint(x, y)
        if (!hit || !(control.contains(hit) || hit.contains(control) || control.labels?.[0]?.contains(hit)))
            found.push(`unreachable: ${name(control)} "${(control.innerText ?? '').trim().slice(0, 30)}"` +
                ` at ${Math.round(x)},${Math.round(y)} under ${hit ? name(hit) : 'nothing'}`)
    }
    scrollTo(...before)
    return [...new Set(found)]
}"""

TEXT_AT_200_PERCENT: Final = "document.documentElement.style.fontSize = '200%'"
"""Twice the size of all text, as a person sets it: every size in the pages is in rem."""
