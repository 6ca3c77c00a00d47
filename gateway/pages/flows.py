"""Drawings of /docs: the way back from a lost answer, and the life of a redemption. Fixed text; nothing of a caller."""

from typing import Final

LOST_ANSWER: Final = """
<h3>When the answer is lost</h3>
<p>A till makes its key <em>before</em> the first attempt, keeps it with the sale, and sends it with every retry. That
is all it takes to be safe:</p>
<ol class="flow">
<li class="ask"><b>Till</b><span>POST /v1/verify · key <code>k-123</code></span><b>Tong</b>
<i>applied, written down</i></li>
<li class="lost"><b>Till</b><span>201 · the line drops</span><b>Tong</b>
<i>the till knows nothing</i></li>
<li class="ask"><b>Till</b><span>the same body · key <code>k-123</code></span><b>Tong</b>
<i>found, not applied again</i></li>
<li class="reply"><b>Till</b><span>201 · the same bytes · <code>Idempotency-Replayed: true</code></span><b>Tong</b>
<i>also after the code has expired</i></li></ol>
<h3>When the sale is given up</h3>
<p>The till still does not know, and the cashier wants to start afresh: take cash, ring it up again, close the shop.
<code>POST /v1/cancel</code> with the key and the code <em>as they were sent</em> makes sure that nothing is applied,
whatever became of the scan. Repeat it until it is answered.</p>
<div class="branches"><ol class="flow">
<li class="head"><b>It had arrived</b></li>
<li class="ask"><b>Till</b><span>POST /v1/cancel · <code>k-123</code> and code</span><b>Tong</b>
<i>found, given back</i></li>
<li class="reply"><b>Till</b><span>200 · <code>reversed</code></span><b>Tong</b>
<i>with the redemption in its present state</i></li></ol>
<ol class="flow">
<li class="head"><b>It never had, or comes late</b></li>
<li class="ask"><b>Till</b><span>POST /v1/cancel · <code>k-123</code> and code</span><b>Tong</b>
<i>nothing there: a tombstone is set</i></li>
<li class="reply"><b>Till</b><span>200 · <code>tombstoned</code></span><b>Tong</b>
<i>nothing is applied, nothing will be</i></li>
<li class="ask"><b>Till</b><span>the late original · <code>k-123</code></span><b>Tong</b>
<i>refused for ever</i></li>
<li class="reply"><b>Till</b><span>409 · <code>cancelled</code></span><b>Tong</b>
<i>a new sale takes a new key and a fresh code</i></li></ol></div>
<p>Afterwards a redemption that was answered is taken back by its id: by <code>POST /v1/cancel</code> with
<code>redemption_id</code>, or, when goods come back, by a refund.</p>
"""


def _box(x: int, y: int, name: str, kind: str = "") -> str:
    return (
        f'<g class="box {kind}"><rect x="{x}" y="{y}" width="148" height="38" rx="8"/>'
        f'<text x="{x + 74}" y="{y + 24}">{name}</text></g>'
    )


def _arrow(path: str, label: str, x: int, y: int) -> str:
    return f'<path class="arrow" marker-end="url(#tip)" d="{path}"/><text class="label" x="{x}" y="{y}">{label}</text>'


LIFE: Final = (
    '<section id="life"><h2>Life of a redemption</h2><p><code>status</code> is its state. A hold reaches '
    "exactly one end, by its deadline at the latest; the legs show what a capture or a refund leaves out: "
    "<code>captured_…</code> and <code>refunded_…</code> are beside the amounts taken.</p>"
    '<div class="scroll" role="region" aria-label="Life of a redemption" tabindex="0">'
    '<svg class="life" viewBox="0 -24 870 240" role="img" '
    'aria-label="verify makes a hold or captures at once; a hold is captured, voided or expires; what is captured is '
    'refunded in part or whole; cancel reverses all of them">'
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
    'orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>'
    + _box(10, 20, "verify", "start")
    + _box(240, 20, "captured")
    + _box(470, 20, "partially_refunded")
    + _box(700, 20, "refunded", "end")
    + _box(240, 110, "held")
    + _box(470, 110, "voided", "end")
    + _box(470, 170, "expired", "end")
    + _box(700, 170, "reversed", "end")
    + _arrow("M158 39H236", "at once", 197, 32)
    + _arrow("M84 58V129H236", "capture: false", 160, 122)
    + _arrow("M314 110V62", "capture", 346, 91)
    + _arrow("M388 39H466", "refund", 427, 32)
    + _arrow("M618 39H696", "refund", 657, 32)
    + _arrow("M314 20C360 -18 720 -18 770 16", "refund of all", 544, -14)
    + _arrow("M388 129H466", "void", 427, 122)
    + _arrow("M314 148V189H466", "deadline", 400, 182)
    + _arrow("M774 142V166", "cancel, while held,", 774, 118)
    + '<text class="label" x="774" y="133">captured or partly refunded</text>'
    + "</svg></div></section>"
)
