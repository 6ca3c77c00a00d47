"""Every bound of the product in one place, with the relations between them asserted.

A limit that is missing here does not exist; a loop, a queue, a size or a wait without one is a defect. The hot-store
functions get the ones they need from here when the library is assembled, and the limits of codes come from
tokens/claims.py, so no number is written in two places.
"""

from typing import Final

from tokens import claims

# Numbers. Lua keeps integers exactly only below 2^53 (IEEE 754 binary64).
SAFE_INTEGER_MAX: Final = 2**53 - 1
AMOUNT_MINOR_MAX: Final = 10**12  # it is ten thousand million yuan in fen; no bill of a till is larger
POINTS_MAX: Final = 10**12

# Identity.
MEMBER_NUMBERS: Final = claims.MEMBER_NUMBERS
BUCKETS_DEFAULT: Final = 64
BUCKETS_MAX: Final = 1024  # two base-32 characters of a redemption id carry the bucket

# Requests.
BODY_BYTES_MAX: Final = 16_384
CODE_CHARACTERS_MAX: Final = claims.TEXT_CHARACTERS_MAX
IDEMPOTENCY_KEY_CHARACTERS_MAX: Final = 64
BILL_REFERENCE_CHARACTERS_MAX: Final = 64
CATEGORY_CHARACTERS_MAX: Final = 32
BILL_LINES_MAX: Final = 50
LEGS_MAX: Final = 8
BENEFIT_USES_MAX: Final = 100
CODES_PER_REQUEST_MAX: Final = 5
SLOT_SECONDS: Final = claims.SLOT_SECONDS
SLOTS_AHEAD_MAX: Final = claims.SLOTS_AHEAD_MAX  # slots ahead of now for which a code may be made

# Connections of the gateway (gateway/server/protocol.py).
HEAD_BYTES_MAX: Final = 16_384
HEAD_SECONDS: Final = 10.0
BODY_SECONDS: Final = 10.0
BODY_BYTES_OF_PERIOD: Final = 16_384  # a body has to bring this in each BODY_SECONDS, or all that is missing of it
QUIET_BYTES_MAX: Final = 16_384  # chunk lines and trailers may come behind a head without a byte of the body
PARSED_AT_ONCE_BYTES_MAX: Final = 16_384  # few pipelined requests wait parsed, the rest as bytes
UNREAD_BODY_BYTES_MAX: Final = 65_536  # more of a body whose request was answered without it ends the connection
LINGER_BYTES_MAX: Final = 8 * 1024 * 1024  # bytes that are thrown away while a connection lingers
LINGER_SECONDS: Final = 2.0  # the client has this time to read the last answer before the connection is cut
WRITE_SECONDS: Final = 10.0
WRITE_BYTES_OF_PERIOD: Final = 16_384  # a client has to take this in each WRITE_SECONDS while answers wait for it

# Hot store.
# 12 months of validity times 8 businesses, half as many benefits; more would take a call over 2 ms
# (docs/explanation/testing.md).
LOTS_MAX: Final = 144
LOTS_READ_MAX: Final = 4 * LOTS_MAX  # lots given back may exceed LOTS_MAX, because new lots came in meanwhile
PARTS_MAX: Final = LOTS_MAX + LEGS_MAX  # each leg may share one lot with the next
TIERS_MAX: Final = 16
SWEEP_MAX: Final = 100  # one call expires at most this many holds
CONTEXT_BYTES_MAX: Final = 8_192  # the gateway may attach this to a stream entry
LOT_NAME_CHARACTERS_MAX: Final = 40
MEMO_MAX: Final = 4_096  # the functions remember parsed names of lots, tills and dates, a megabyte each
MEMBER_NAME_CHARACTERS_MAX: Final = 32

# The group file and the file of members (docs/guides/operations.md). Every worker keeps the names in memory.
GROUP_FILE_BYTES_MAX: Final = 8 * 1024 * 1024
GROUP_FILE_MEMBERS_MAX: Final = 20_000  # larger groups bring members as JSON lines, which are streamed
BUSINESSES_MAX: Final = 500
OUTLETS_PER_BUSINESS_MAX: Final = 1_000
TERMINALS_PER_OUTLET_MAX: Final = 1_000
NAME_CHARACTERS_MAX: Final = 100
NAME_LANGUAGES_MAX: Final = 20
MEMBER_LINE_BYTES_MAX: Final = 65_536
MEMBER_LINE_FAULTS_MAX: Final = 100  # wrong lines that are reported
# Lists of redemptions for tills (redemption/listing.py).
LISTED_DEFAULT: Final = 20
LISTED_MAX: Final = 100
LISTED_CANDIDATES_MAX: Final = 100  # this many are looked up in the hot store at once
LISTED_ROUNDS_MAX: Final = 5  # for one page, where few candidates have the wanted status
# So many entries of a bucket are read from its stream because the ledger lacks them.
UNLEDGERED_ENTRIES_MAX: Final = 200

# Settlement over HTTP and a till's list of a day (docs/reference/settlement.md).
PAGE_ITEMS_DEFAULT: Final = 100
PAGE_ITEMS_MAX: Final = 500
SETTLEMENT_CALLS_MAX: Final = 8  # a worker has at most this many in hand
SETTLEMENT_TRANSFERS_MAX: Final = 2  # a worker has at most this many uploads and downloads at once
TILL_LIST_BYTES_MAX: Final = 4 * 1024 * 1024
TILL_LIST_ROWS_MAX: Final = 20_000
TILL_LIST_COLUMNS_MAX: Final = 64
TILL_LIST_FAULTS_MAX: Final = 100  # wrong rows that are reported
TILL_LIST_NOTED_ROWS_MAX: Final = 100  # a note about the list names at most this many
CUT_OFF_HOUR_MAX: Final = 12  # an outlet's business day ends by noon of the next calendar day
RECONCILED_MOVEMENTS_MAX: Final = 40_000  # a business, or outlet, may have this many on one day
RECONCILED_DAYS_BACK_MAX: Final = 92
RECONCILED_ITEMS_SHOWN: Final = 20  # the answer has this many of each class; all are in the file
RECONCILIATIONS_KEPT_MAX: Final = 1_000  # the newest of a business are kept
RECONCILIATIONS_KEPT_DAYS: Final = 90

# Members' devices, and live pages (docs/start/integrate.md). Limits of streams are those of one worker.
DEVICES_PER_MEMBER_MAX: Final = 5
DEVICES_LISTED_MAX: Final = 20
DEVICE_NAME_CHARACTERS_MAX: Final = 40
ACTIVITY_PAGE_DEFAULT: Final = 20
ACTIVITY_PAGE_MAX: Final = 100
ACTIVITY_STEPS_MAX: Final = 1_000  # one page of activity covers at most this many movements
STREAMS_PER_MEMBER_MAX: Final = 4
MEMBER_STREAMS_MAX: Final = 2_000
OPERATIONS_STREAMS_MAX: Final = 100
NOTICES_WAITING_MAX: Final = 200  # one stream queues this many; a slower client is dropped
NOTICES_MISSED_MAX: Final = 200  # a returning client gets this many; with more it reads the activity anew
RESUME_SCANNED_MAX: Final = 20_000  # a returning client makes the worker read this many entries of a stream
FIGURES_KEPT_SECONDS: Final = 3_600
REFUSALS_KEPT_MAX: Final = 500
REFUSALS_PER_SECOND_MAX: Final = 100  # a worker lists this many; more are only counted
REFUSALS_PAGE_MAX: Final = 200

# Time, seconds.
REDEMPTION_RETENTION_SECONDS: Final = 30 * 86_400  # the hot store keeps records and idempotency records for this time
# A used code is remembered far longer than it lives, because its life is counted by the gateway's clock
# and the mark by the hot store's. With 600 s an hour's jump of that clock let used codes in again (drill valkey-clock).
CODE_MARKER_SECONDS: Final = 2 * 3_600
REFUSAL_MARK_SECONDS: Final = 600  # a refused key is remembered for this time (ADR 0004)
# A till may take a sale back by POST /v1/cancel for two days, unless the group's policy says otherwise: a sale of
# the first minutes of a business day can still be cancelled after that day has ended (docs/start/integrate.md).
CANCEL_WINDOW_SECONDS_DEFAULT: Final = 2 * 86_400
CANCEL_WINDOW_SECONDS_MAX: Final = REDEMPTION_RETENTION_SECONDS
HOLD_SECONDS_DEFAULT: Final = 15 * 60
HOLD_SECONDS_MAX: Final = 14 * 86_400  # a hotel stay may last so long
DUPLICATE_SECONDS: Final = 60
RECENT_KEPT_CHARACTERS: Final = 1_024  # some 16 baskets of one member at one outlet within that time
USES_SECONDS: Final = 100 * 86_400  # counters of uses cover a month, and the longest stay with its holds
RATE_WINDOW_SECONDS: Final = 10
RATE_SUBJECTS_MAX: Final = 200_000  # tills, outlets and members that one server counts in a window: some 20 MB
GUESS_WINDOW_SECONDS: Final = 600

# Limits of naming members by id and of earning (docs/reference/rules.md, docs/explanation/security.md).
SEEN_SECONDS: Final = 15 * 60  # an outlet may name the member by id for this time after a scan
EARNED_SECONDS: Final = 2 * 86_400  # counters of a day's points outlive that day in every time zone
BILL_SECONDS: Final = REDEMPTION_RETENTION_SECONDS  # one bill of an outlet earns once in this time
BILL_EARNINGS_MAX: Final = 8  # one bill may earn this often, with different amounts

# A cancelled key without a call is remembered for as long as a used code, because no code that
# could come with it is good for longer. Accruals by member_id have no code; the list of a terminal's cancelled keys
# refuses them for 30 days.
TOMBSTONE_SECONDS: Final = CODE_MARKER_SECONDS
TOMBSTONES_PER_TERMINAL: Final = 1_000  # the window is GUESS_WINDOW_SECONDS
TOMBSTONES_PER_OUTLET: Final = 3_000
CANCELLED_KEYS_MAX: Final = 10_000  # each terminal has a list of its own; the oldest are forgotten first

# Guesses of 18-digit codes in a window (docs/explanation/security.md has the odds).
GUESSES_PER_TERMINAL: Final = 20
GUESSES_PER_OUTLET: Final = 60
# Once the whole group has seen so many in a window, a terminal and an outlet may make no more than these. A till that
# has made none is not touched, so that one bad till cannot stop the others.
GUESSES_IN_GROUP: Final = 300
GUESSES_PER_TERMINAL_THEN: Final = 1
GUESSES_PER_OUTLET_THEN: Final = 2
VERIFY_DEADLINE_SECONDS: Final = 2.0
REQUEST_BODY_SECONDS: Final = 5.0

# Concurrency, per worker.
# A burst may be this large; more than a second of work on a slow machine would only time out.
VERIFY_IN_FLIGHT_MAX: Final = 1_024
VERIFY_STANDING_MAX: Final = 64  # twice what keeps a worker busy (docs/explanation/performance.md); more only wait
HOT_IN_FLIGHT_MAX: Final = 1_280

# The marker of a code must outlive the code, fetched as far ahead as may be, and a refusal must be remembered until the
# body it refused can no longer be taken. A minute is left for clocks that differ.
_CODE_SECONDS_MAX: Final = claims.CODE_LIFETIME_SECONDS + SLOTS_AHEAD_MAX * SLOT_SECONDS
assert CODE_MARKER_SECONDS > _CODE_SECONDS_MAX + 60
assert REFUSAL_MARK_SECONDS > _CODE_SECONDS_MAX + 60
assert max(REFUSAL_MARK_SECONDS, CODE_MARKER_SECONDS) < REDEMPTION_RETENTION_SECONDS
# Whatever can be cancelled can be cancelled by its key: the record of the key outlives the window, which begins
# at the scan or, of a hold, at the capture (a hold's key lives longer by the hold's own time).
assert 86_400 < CANCEL_WINDOW_SECONDS_DEFAULT <= CANCEL_WINDOW_SECONDS_MAX <= REDEMPTION_RETENTION_SECONDS
assert max(CODE_MARKER_SECONDS, REFUSAL_MARK_SECONDS) <= TOMBSTONE_SECONDS
assert DUPLICATE_SECONDS < SEEN_SECONDS < CODE_MARKER_SECONDS
assert GUESSES_PER_TERMINAL_THEN < GUESSES_PER_TERMINAL < GUESSES_PER_OUTLET < GUESSES_IN_GROUP
assert GUESSES_PER_OUTLET_THEN < GUESSES_PER_OUTLET
assert AMOUNT_MINOR_MAX * BILL_LINES_MAX < SAFE_INTEGER_MAX
assert POINTS_MAX * LEGS_MAX < SAFE_INTEGER_MAX
assert (CODES_PER_REQUEST_MAX - 1) * claims.SLOTS_PER_REFRESH < SLOTS_AHEAD_MAX  # so far apart are codes fetched ahead
assert LEGS_MAX * 200 + 1_024 < CONTEXT_BYTES_MAX  # a leg of a context has under 200 bytes, all the rest under 1 KiB
assert HOLD_SECONDS_MAX < REDEMPTION_RETENTION_SECONDS
assert LISTED_DEFAULT <= LISTED_MAX <= LISTED_CANDIDATES_MAX < HOT_IN_FLIGHT_MAX
assert HOT_IN_FLIGHT_MAX >= VERIFY_IN_FLIGHT_MAX >= VERIFY_STANDING_MAX
assert CODE_CHARACTERS_MAX + BILL_LINES_MAX * 100 < BODY_BYTES_MAX
