"""Alarms over a second's sample and those before it, with words that explain them.

Guarantees: an alarm says which figure went over which threshold, since when, what it means and what to do; what is
wrong stays an alarm for as long as it is wrong, however long that is. The thresholds are those of
deploy/prometheus/tong.rules.yml (tests/truth/test_alarm_thresholds.py holds them equal); the page looks at the last
minute where Prometheus takes rates over some.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from gateway.observability.stats_format import (
    Alarmed,
    Sample,
    accepted,
    latencies_of,
    outcomes_of,
    points_by_business,
    quantile_ms,
    refused,
)
from gateway.problems.kinds import Language

LAG_SECONDS: Final = (10.0, 60.0)
BACKLOG_ENTRIES: Final = (10_000, 100_000)
MEMORY_SHARE: Final = (0.80, 0.95)
STALE_SECONDS: Final = 60.0
LATENCY_P99_MS: Final = 100.0
LATENCY_SCANS_MIN: Final = 20
REFUSED_SHARE: Final = 0.3
"""Of the last five minutes. Too many refusals are an alarm even where it has been so for hours."""
REFUSED_MIN: Final = 20
REFUSED_JUMP_SHARE: Final = 0.15
"""Of the last minute, where it is also so many times as much as before."""
REFUSED_TIMES_BEFORE: Final = 3.0
POINTS_ISSUED_MIN: Final = 50_000
POINTS_ISSUED_TIMES_BEFORE: Final = 5
GUESSES_PER_MINUTE: Final = 30
MINUTE_SAMPLES: Final = 60
LATELY_SAMPLES: Final = 300
WRITER_SILENT_SECONDS: Final = 10.0
FIGURES_STALE_SECONDS: Final = 5.0


class _Words(NamedTuple):
    """Title and text by language. {value} and {threshold} are filled in."""

    unit: str
    titles: tuple[str, str, str]
    texts: tuple[str, str, str]


_WORDS: Final[dict[str, _Words]] = {
    "hot_store_disconnected": _Words("workers", ("Valkey 連線中斷", "Valkey 连接中断", "Valkey disconnected"), (
        "{value} 個服務實例連不上 Valkey，掃碼一律回覆「暫時無法使用」。檢查 Valkey 是否運作、連線與帳號",
        "{value} 个服务实例连不上 Valkey，扫码一律回复“暂时无法使用”。检查 Valkey 是否运行、连接与账号",
        "{value} worker(s) have no connection to Valkey: their scans are answered `unavailable`. Check that Valkey "
        "runs, the network, and the worker's user")),
    "frozen": _Words("buckets", ("會員分區已凍結", "会员分区已冻结", "Members are frozen"), (
        "{value} 個分區的帳本與 Valkey 不一致，該部分會員無法使用。執行 tong audit，再執行 tong rebuild",
        "{value} 个分区的账本与 Valkey 不一致，该部分会员无法使用。执行 tong audit，再执行 tong rebuild",
        "{value} bucket(s): ledger and Valkey disagree, nothing of these members moves. Run `tong audit`, then "
        "`tong rebuild`")),
    "writer_silent": _Words("seconds", ("入帳服務沒有回報", "入账服务没有回报", "Ledger writer silent"), (
        "超過 {threshold} 秒沒有入帳服務的消息。掃碼照常，但紀錄積存在 Valkey。檢查 tong write-ledger",
        "超过 {threshold} 秒没有入账服务的消息。扫码照常，但记录积存在 Valkey。检查 tong write-ledger",
        "The ledger writer has not reported for {threshold} s. Scans go on and their records pile up in Valkey. Check "
        "`tong write-ledger`")),
    "ledger_stopped": _Words("buckets", ("停止入帳", "停止入账", "Ledger stopped"), (
        "入帳服務不再處理 {value} 個分區（例如還原了舊備份）。原因見其日誌",
        "入账服务不再处理 {value} 个分区（例如还原了旧备份）。原因见其日志",
        "The writer no longer follows {value} bucket(s), as after an old backup was restored. Its log says why")),
    "dead_letters": _Words("entries", ("有紀錄無法入帳", "有记录无法入账", "Records not understood"), (
        "最近一分鐘有 {value} 筆紀錄無法辨識，保存在 ledger_dead_letter。請連同原因回報",
        "最近一分钟有 {value} 笔记录无法识别，保存在 ledger_dead_letter。请连同原因上报",
        "{value} record(s) of the last minute were not understood; they are kept in ledger_dead_letter. Report them "
        "with their reason")),
    "ledger_lag": _Words("seconds", ("入帳延遲", "入账延迟", "Ledger lag"), (
        "最舊的未入帳紀錄已等待 {value} 秒（上限 {threshold}）。檢查 PostgreSQL 是否繁忙或中斷",
        "最旧的未入账记录已等待 {value} 秒（上限 {threshold}）。检查 PostgreSQL 是否繁忙或中断",
        "The oldest record not yet in the ledger has waited {value} s (threshold {threshold}). Check whether "
        "PostgreSQL is busy or away")),
    "ledger_backlog": _Words("entries", ("待入帳積存", "待入账积存", "Ledger backlog"), (
        "{value} 筆紀錄等待入帳（上限 {threshold}）。積存過多時掃碼會被拒絕，請儘快處理 PostgreSQL",
        "{value} 笔记录等待入账（上限 {threshold}）。积存过多时扫码会被拒绝，请尽快处理 PostgreSQL",
        "{value} records wait for the ledger (threshold {threshold}). With too many, scans are refused: see to "
        "PostgreSQL")),
    "memory": _Words("percent", ("Valkey 記憶體將滿", "Valkey 内存将满", "Valkey memory fills up"), (
        "Valkey 已使用 {value}% 的記憶體（上限 {threshold}%）。滿了就不能再抵扣，請加大 maxmemory 或擴容",
        "Valkey 已使用 {value}% 的内存（上限 {threshold}%）。满了就不能再抵扣，请加大 maxmemory 或扩容",
        "Valkey uses {value} % of its memory (threshold {threshold} %). When it is full nothing can be redeemed: "
        "raise maxmemory or add capacity")),
    "refusals_jump": _Words("percent", ("拒絕突然增加", "拒绝突然增加", "Refusals jump"), (
        "最近一分鐘有 {value}% 的掃碼被拒絕（上限 {threshold}%，且遠高於之前）。看最常見的原因與業態",
        "最近一分钟有 {value}% 的扫码被拒绝（上限 {threshold}%，且远高于之前）。看最常见的原因与业态",
        "{value} % of the last minute's scans were refused (threshold {threshold} %, and far more than before). See "
        "which reason and which business")),
    "points_issued_jump": _Words("points", ("積分發放異常", "积分发放异常", "Points issued jump"), (
        "一個業態最近一分鐘發放了 {value} 積分（上限 {threshold}，且遠高於之前）。核對帳單，必要時停用該收銀機的金鑰",
        "一个业态最近一分钟发放了 {value} 积分（上限 {threshold}，且远高于之前）。核对账单，必要时停用该收银机的密钥",
        "A business issued {value} points in the last minute (threshold {threshold}, and far more than before). Check "
        "the bills; revoke the till's key if they are invented")),
    "guesses": _Words("guesses", ("有人在猜會員碼", "有人在猜会员码", "Member codes are being guessed"), (
        "最近一分鐘有 {value} 次猜測（上限 {threshold}）：不存在的數字碼，或本店未掃描過的會員編號。找出是哪台收銀機",
        "最近一分钟有 {value} 次猜测（上限 {threshold}）：不存在的数字码，或本店未扫描过的会员编号。找出是哪台收银机",
        "{value} guesses in the last minute (threshold {threshold}): digits that nobody made, or ids of members whom "
        "the outlet had not scanned. The last refusals say which till it is")),
    "refusals_high": _Words("percent", ("拒絕比例過高", "拒绝比例过高", "Too many refusals"), (
        "最近五分鐘有 {value}% 的掃碼被拒絕（上限 {threshold}%）。看最常見的原因與業態",
        "最近五分钟有 {value}% 的扫码被拒绝（上限 {threshold}%）。看最常见的原因与业态",
        "{value} % of the scans of the last five minutes were refused (threshold {threshold} %). See which reason and "
        "which business")),
    "outcome_unknown": _Words("scans", ("核銷結果不明", "核销结果不明", "Outcome unknown"), (
        "最近一分鐘有 {value} 筆核銷未能確認結果，收銀機會以同一筆再問。檢查 Valkey 是否回應",
        "最近一分钟有 {value} 笔核销未能确认结果，收银机会以同一笔再问。检查 Valkey 是否响应",
        "{value} scan(s) of the last minute were answered `unknown`; tills ask again with the same key. Check whether "
        "Valkey answers in time")),
    "overloaded": _Words("scans", ("負載過高", "负载过高", "Overloaded"), (
        "最近一分鐘有 {value} 筆掃碼因負載過高被拒絕。增加服務實例，或查出大量請求的來源",
        "最近一分钟有 {value} 笔扫码因负载过高被拒绝。增加服务实例，或查出大量请求的来源",
        "{value} scan(s) of the last minute were refused because the workers have more than they can do. Add workers, "
        "or find who sends so much")),
    "latency": _Words("milliseconds", ("掃碼變慢", "扫码变慢", "Scans are slow"), (
        "最近一分鐘最慢的 1% 掃碼超過 {value} 毫秒（上限 {threshold}）。看服務實例數、Valkey 的磁碟與負載",
        "最近一分钟最慢的 1% 扫码超过 {value} 毫秒（上限 {threshold}）。看服务实例数、Valkey 的磁盘与负载",
        "The slowest 1 % of the last minute's scans took {value} ms (threshold {threshold}). See the number of workers,"
        " Valkey's disk, the load")),
    "configuration_stale": _Words("seconds", ("設定未更新", "设置未更新", "Configuration is old"), (
        "設定已 {value} 秒沒有與 PostgreSQL 核對（上限 {threshold}）。撤銷金鑰與規則變更暫不生效",
        "设置已 {value} 秒没有与 PostgreSQL 核对（上限 {threshold}）。撤销密钥与规则变更暂不生效",
        "PostgreSQL has not confirmed the configuration for {value} s (threshold {threshold}). Revoked keys and "
        "changed rules do not take effect yet")),
    "figures_stale": _Words("seconds", ("數據已停止更新", "数据已停止更新", "Figures are old"), (
        "已 {value} 秒沒有新的數據（上限 {threshold}）。畫面上是舊的數字",
        "已 {value} 秒没有新的数据（上限 {threshold}）。画面上是旧的数字",
        "No new figures for {value} s (threshold {threshold}): what is shown is old")),
}  # fmt: skip
CODES: Final = tuple(_WORDS)
_LANGUAGES: Final[tuple[Language, ...]] = ("zh-Hant", "zh-Hans", "en")


class _Found(NamedTuple):
    code: str
    value: float
    threshold: float
    critical: bool


class Earlier(NamedTuple):
    """A second that is over a minute ago: scans accepted and refused, points issued by business."""

    accepted: int
    refused: int
    points: dict[str, int]


def judge(sample: Sample, before: Sequence[Sample], earlier: Sequence[Earlier]) -> dict[str, Alarmed]:
    """Return the alarms of a sample. `before` are the samples of the minute before it, the newest last; `earlier` the
    seconds of the minutes before those, oldest first. An alarm that was on stays since when it was."""
    known = before[-1].alarms if before else {}
    return {
        found.code: Alarmed(
            known[found.code].since_ms if found.code in known else sample.at * 1000,
            found.value,
            found.threshold,
            found.critical,
        )
        for found in (
            *_of_stores(sample, before),
            *_of_scans(sample, before, earlier),
            *_of_insiders(sample, before, earlier),
        )
    }


def _of_stores(sample: Sample, before: Sequence[Sample]) -> Iterable[_Found]:
    cut_off = sum(not worker.connected for worker in sample.workers)
    if cut_off:
        yield _Found("hot_store_disconnected", cut_off, 0, True)
    frozen = {bucket for worker in sample.workers for bucket in worker.frozen}
    if frozen:
        yield _Found("frozen", len(frozen), 0, True)
    writer = sample.writer
    if writer is None:
        yield _Found("writer_silent", WRITER_SILENT_SECONDS, WRITER_SILENT_SECONDS, True)
    else:
        if writer.stopped_buckets:
            yield _Found("ledger_stopped", writer.stopped_buckets, 0, True)
        dead = writer.dead_letters - min((each.writer.dead_letters for each in before if each.writer), default=0)
        if dead > 0 and before:
            yield _Found("dead_letters", dead, 0, True)
        yield from _over("ledger_lag", writer.lag_seconds, LAG_SECONDS)
        yield from _over("ledger_backlog", writer.backlog_entries, BACKLOG_ENTRIES)
    if sample.memory_limit_bytes and sample.memory_bytes is not None:
        share = 100 * sample.memory_bytes / sample.memory_limit_bytes
        yield from _over("memory", round(share, 1), (100 * MEMORY_SHARE[0], 100 * MEMORY_SHARE[1]))
    stale = max((worker.stale_seconds for worker in sample.workers), default=0.0)
    if stale > STALE_SECONDS:
        yield _Found("configuration_stale", round(stale), STALE_SECONDS, False)


def _of_scans(sample: Sample, before: Sequence[Sample], earlier: Sequence[Earlier]) -> Iterable[_Found]:
    minute = [*before[-(MINUTE_SAMPLES - 1) :], sample]
    outcomes = outcomes_of(outlet for each in minute for outlet in each.outlets.values())
    counted = [(each.accepted, each.refused) for each in earlier]
    yield from _of_refusals((accepted(outcomes), refused(outcomes)), counted)
    unknown = sum(each.unknown for each in minute)
    if unknown:
        yield _Found("outcome_unknown", unknown, 0, True)
    if outcomes.get("overloaded"):
        yield _Found("overloaded", outcomes["overloaded"], 0, False)
    latencies = latencies_of(outlet for each in minute for outlet in each.outlets.values())
    p99 = quantile_ms(latencies, 0.99)
    if p99 is not None and p99 > LATENCY_P99_MS and sum(latencies.values()) >= LATENCY_SCANS_MIN:
        yield _Found("latency", p99, LATENCY_P99_MS, False)


def _of_insiders(sample: Sample, before: Sequence[Sample], earlier: Sequence[Earlier]) -> Iterable[_Found]:
    """Points issued far above what a business issued in the minutes before, and guesses over the whole group."""
    minute = [*before[-(MINUTE_SAMPLES - 1) :], sample]
    usual: dict[str, int] = {}
    for each in earlier:
        for business, points in each.points.items():
            usual[business] = usual.get(business, 0) + points
    jumps = [
        points
        for business, points in points_by_business(
            outlet for each in minute for outlet in each.outlets.values()
        ).items()
        if points > POINTS_ISSUED_MIN
        and points * len(earlier) > POINTS_ISSUED_TIMES_BEFORE * usual.get(business, 0) * MINUTE_SAMPLES
    ]
    if jumps:
        yield _Found("points_issued_jump", max(jumps), POINTS_ISSUED_MIN, False)
    guesses = sum(outlet.guesses for each in minute for outlet in each.outlets.values())
    if guesses > GUESSES_PER_MINUTE:
        yield _Found("guesses", guesses, GUESSES_PER_MINUTE, False)


def _of_refusals(minute: tuple[int, int], earlier: Sequence[tuple[int, int]]) -> Iterable[_Found]:
    """A sudden rise, or, where it is none any more, simply too many."""
    now, then = _refused_share(*minute), _refused_share(*_sums(earlier))
    if minute[1] >= REFUSED_MIN and now > REFUSED_JUMP_SHARE and now > REFUSED_TIMES_BEFORE * then:
        yield _Found("refusals_jump", round(100 * now, 1), 100 * REFUSED_JUMP_SHARE, False)
        return
    lately = _sums([*earlier[-(LATELY_SAMPLES - MINUTE_SAMPLES) :], minute])
    share = _refused_share(*lately)
    if lately[1] >= REFUSED_MIN and share > REFUSED_SHARE:
        yield _Found("refusals_high", round(100 * share, 1), 100 * REFUSED_SHARE, False)


def _sums(seconds: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return sum(each[0] for each in seconds), sum(each[1] for each in seconds)


def _refused_share(were_accepted: int, were_refused: int) -> float:
    all_scans = were_accepted + were_refused
    return were_refused / all_scans if all_scans else 0.0


def _over(code: str, value: float, thresholds: tuple[float, float]) -> Iterable[_Found]:
    warning, critical = thresholds
    if value > critical:
        yield _Found(code, value, critical, True)
    elif value > warning:
        yield _Found(code, value, warning, False)


class AlarmTexts(NamedTuple):
    """The words of an alarm in one language."""

    title: str
    text: str
    unit: str


def alarm_texts(code: str, alarmed: Alarmed, language: Language) -> AlarmTexts:
    """Explain an alarm: which figure went over which threshold, what it means and what to do."""
    words, index = _WORDS[code], _LANGUAGES.index(language)
    value, threshold = _figure(alarmed.value), _figure(alarmed.threshold)
    return AlarmTexts(words.titles[index], words.texts[index].format(value=value, threshold=threshold), words.unit)


def _figure(value: float) -> str:
    return f"{value:g}" if value < 1000 else f"{value:,.0f}"
