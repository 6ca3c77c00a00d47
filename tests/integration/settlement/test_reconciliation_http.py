"""A till's day over HTTP: every kind of difference, lists that cannot be read, who may see what, bounds."""

import asyncio
import csv
import datetime
import io
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pytest

from gateway.administration.keys import create_key
from gateway.formats.spreadsheets import without_guard
from redemption.configuration.group import GroupFileRefused
from redemption.domain.limits import SETTLEMENT_TRANSFERS_MAX, TILL_LIST_BYTES_MAX, TILL_LIST_ROWS_MAX
from tests.support.api.client import TongClient, fresh_key, points_leg
from tests.support.ledger.oracle import until_drained
from tests.support.servers.stack import Member, Stack, Terminal
from tests.support.settlement.http import BASE, GROUP_ZONE, Office
from tests.support.suite.waiting import wait_until

ONE = "/reconciliations/{reconciliation_id}"
MEMORY_MAX_KIB = 200 * 1024


def seconds_left_today() -> int:
    now = datetime.datetime.now(GROUP_ZONE)
    return 86_400 - (now.hour * 3_600 + now.minute * 60 + now.second)


@dataclass
class Tills:
    """A business of its own with a day of redemptions. `ids` are those by name, `off` what they took off."""

    stack: Stack
    tong: TongClient
    terminal: Terminal
    day: str
    office: Office
    till: Office
    ids: dict[str, str] = field(default_factory=dict)
    off: dict[str, int] = field(default_factory=dict)

    async def take(self, member: Member, name: str, points: int, reference: str | None, **more: Any) -> None:
        body: dict[str, Any] = {"code": await self.tong.code(member), "legs": [points_leg(points)], **more}
        if reference is not None:
            body["bill"] = {"reference": reference, "amount_minor": 50_000, "currency": "CNY"}
        key = fresh_key()
        answer = await self.tong.verify(self.terminal, body, key)
        assert answer.status_code == 201, answer.text
        self.ids[name] = answer.json()["redemption_id"]
        self.off[name] = sum(leg["value_minor"] for leg in answer.json()["legs"])

    async def step(self, name: str, verb: str, points: int) -> int:
        """Captures or refunds a part; what is off the bill then."""
        answer = await self.tong.http.post(
            f"/v1/redemptions/{self.ids[name]}/{verb}",
            json={"legs": [points_leg(points)]},
            headers={"authorization": f"Bearer {self.terminal.api_key}", "idempotency-key": fresh_key()},
        )
        assert answer.status_code == 200, answer.text
        return int(answer.json()["bill"]["discount_minor"])

    async def send(self, rows: list[dict[str, Any]], *, by: Office | None = None, **parameters: str) -> Any:
        answer = await (by or self.till).post("/reconciliations", {"rows": rows}, day=self.day, **parameters)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()


@pytest.fixture(scope="module")
async def tills(stack: Stack, tong: TongClient) -> Tills:
    # The day must not change between the redemptions and the list.
    await wait_until("today has a minute left", lambda: seconds_left_today() > 60, seconds=90)
    terminal = await stack.terminal("reconciled", rules={"worth_points": 3, "worth_minor": 2})
    key = await create_key(stack.settings, None, ("settlement",), "reconciled")
    await stack.until_every_worker("knows the key", lambda http: _knows(http, key))
    day = f"{datetime.datetime.now(GROUP_ZONE):%Y-%m-%d}"
    made = Tills(stack, tong, terminal, day, Office(tong.http, key), Office(tong.http, terminal.api_key))
    one, other = await stack.members([[("hotel", 4_000, 3), ("mall", 2_000, 5)], [("hotel", 4_000, 3)]])
    await made.take(one, "matched", 301, "T-1")
    await made.take(other, "different", 200, "T-2")
    await made.take(one, "unlisted", 100, "T-3")
    await made.take(other, "doubled", 150, "T-4")
    await made.take(one, "first of two", 101, "T-5")
    await made.take(other, "second of two", 52, "T-5")
    await made.take(one, "cancelled", 160, "T-6")
    await made.take(other, "refunded", 401, "T-8")
    await made.take(one, "held", 501, "T-9", capture=False)
    await made.take(other, "other bill amount", 90, "T-10")
    await made.take(one, "no bill", 70, None)
    await made.take(other, "held only", 80, "T-12", capture=False)
    made.off["after refund"] = await made.step("refunded", "refund", 150)
    made.off["held"] = await made.step("held", "capture", 302)
    cancelled = await tong.http.post(
        "/v1/cancel",
        json={"redemption_id": made.ids["cancelled"]},
        headers={"authorization": f"Bearer {terminal.api_key}"},
    )
    assert cancelled.status_code == 200, cancelled.text
    async with stack.hot() as hot, stack.ledger() as ledger:
        await until_drained(hot, ledger)
    return made


async def _knows(http: Any, key: str) -> bool:
    answer = await http.get(f"{BASE}/reconciliations", headers={"authorization": f"Bearer {key}"})
    return bool(answer.status_code == 200)


def hand_made(tills: Tills) -> list[dict[str, Any]]:
    """The till's list, with one of every kind of difference."""
    off = tills.off
    return [
        {"reference": "T-1", "amount_minor": off["matched"], "time": "12:00:00"},
        {"reference": "T-2", "amount_minor": off["different"] + 50},
        {"reference": "T-4", "amount_minor": off["doubled"]},
        {"reference": "T-4", "amount_minor": off["doubled"]},
        {"reference": "T-5", "amount_minor": off["first of two"] + off["second of two"]},
        {"reference": "T-7", "amount_minor": 999},
        {"reference": "T-8", "amount_minor": off["refunded"]},
        {"reference": "T-8", "amount_minor": off["after refund"] - off["refunded"]},
        {"reference": "T-9", "amount_minor": off["held"], "bill_amount_minor": 50_000},
        {"reference": "T-10", "amount_minor": off["other bill amount"], "bill_amount_minor": 49_000},
        {"reference": "T-11", "amount_minor": off["no bill"], "redemption_id": tills.ids["no bill"]},
    ]


EXPECTED = {
    "T-1": ("matched", []),
    "T-2": ("different_amount", []),
    "T-3": ("missing_there", []),
    "T-4": ("duplicate_in_list", ["several_rows"]),
    "T-5": ("matched", ["several_redemptions"]),
    "T-6": ("cancelled_here", []),
    "T-7": ("missing_here", []),
    "T-8": ("matched", ["several_rows"]),
    "T-9": ("matched", []),
    "T-10": ("different_amount", ["bill_amount_differs"]),
    "T-11": ("matched", ["other_reference_in_list", "no_reference_in_ledger"]),
}


async def test_every_kind_of_difference_is_told_apart_and_can_be_downloaded(tills: Tills) -> None:
    rows = hand_made(tills)
    found = await tills.send(rows)
    assert (found["rows"], found["movements"]) == (11, 13)
    assert (found["business"], found["day"], found["time_zone"]) == ("reconciled", tills.day, "Asia/Shanghai")
    assert found["provisional"]
    assert found["uploaded_by"] == f"terminal {tills.terminal.terminal_id}"
    shown = {bill["reference"]: bill["kind"] for bill in found["bills"]}
    assert shown == {name: kind for name, (kind, _) in EXPECTED.items() if kind != "matched"}
    assert found["bills_left_out"] == 0

    path = f"/reconciliations/{found['reconciliation_id']}"
    bills = await tills.office.all_of(f"{path}/bills", "bills", f"{ONE}/bills", limit=2)
    assert {bill["reference"]: (bill["kind"], bill["notes"]) for bill in bills} == EXPECTED
    assert len(bills) == len(EXPECTED)
    by_reference = {bill["reference"]: bill for bill in bills}
    assert by_reference["T-2"]["difference_minor"] == 50
    assert [each["row"] for each in by_reference["T-4"]["rows"]] == [3, 4]
    assert {each["redemption_id"] for each in by_reference["T-5"]["movements"]} == {
        tills.ids["first of two"],
        tills.ids["second of two"],
    }
    assert [each["gave_back"] for each in by_reference["T-6"]["movements"]] == [False, True]
    for kind, total in found["totals"].items():
        of_class = [bill for bill in bills if bill["kind"] == kind]
        assert await tills.office.all_of(f"{path}/bills", "bills", f"{ONE}/bills", **{"class": kind}) == of_class
        assert total["list_minor"] == sum(bill["list_minor"] for bill in of_class)
        assert total["ledger_minor"] == sum(bill["ledger_minor"] for bill in of_class)
    assert sum(total["rows"] for total in found["totals"].values()) == 11

    # The same list again is the same reconciliation; its files hold every bill.
    again = await tills.office.post("/reconciliations", {"rows": rows}, day=tills.day)
    assert (again.status_code, again.json()["reconciliation_id"]) == (200, found["reconciliation_id"])
    assert await tills.till.found(path, ONE) == again.json()
    as_csv = await tills.till.get(f"{path}/file", f"{ONE}/file")
    assert "tong-reconciliation-reconciled-" in as_csv.headers["content-disposition"]
    table = list(csv.DictReader(io.StringIO(as_csv.content.decode("utf-8-sig"))))
    assert [(row["class"], row["reference"]) for row in table] == [(bill["kind"], bill["reference"]) for bill in bills]
    assert sum(int(row["list_minor"]) for row in table) == sum(row["amount_minor"] for row in rows)
    as_json = await tills.office.get(f"{path}/file", f"{ONE}/file", format="json")
    assert as_json.json()["bills"] == bills
    as_xlsx = await tills.office.get(f"{path}/file", f"{ONE}/file", format="xlsx")
    sheet = openpyxl.load_workbook(io.BytesIO(as_xlsx.content))["bills"]
    cells = list(sheet.iter_rows(min_row=2, values_only=True))
    assert [cell[1] for cell in cells] == [bill["reference"] for bill in bills]
    assert sum(int(str(cell[4])) for cell in cells) == sum(bill["ledger_minor"] for bill in bills)


async def test_a_reference_that_looks_like_markup_of_a_sheet_is_text_in_it(tills: Tills) -> None:
    references = ["<r><t>x</t></r></is></c><c><f>1+1</f><v>2</v></c><r></r>", "<r>bold</r>", "_x000D_&<b>", "=1+1"]
    found = await tills.send([{"reference": name, "amount_minor": 1} for name in references])
    path = f"/reconciliations/{found['reconciliation_id']}/file"
    file = await tills.till.get(path, f"{ONE}/file", format="xlsx")
    sheet = openpyxl.load_workbook(io.BytesIO(file.content))["bills"]
    cells = [row[1] for row in sheet.iter_rows(min_row=2)]
    assert {cell.data_type for cell in cells} == {"s"}
    read = {str(cell.value).removeprefix("\u200b").replace("_x005F_", "_") for cell in cells}
    assert read.issuperset(references)
    assert {cell.column for row in sheet.iter_rows() for cell in row if cell.value is not None} <= set(range(1, 17))


async def test_a_list_in_chinese_csv_is_the_same_list(tills: Tills) -> None:
    lines = ["\ufeff單號;抵扣金額;收銀員;時間"]
    for row in hand_made(tills)[:8]:
        amount = f"{row['amount_minor'] / 100:.2f}"
        lines.append(f"{row['reference']};{amount};陳大文;{row.get('time', '')}")
    data = "\r\n".join(lines).encode()
    answer = await tills.till.post("/reconciliations", data, media_type="text/csv", day=tills.day)
    assert answer.status_code == 201, answer.text
    assert answer.json()["ignored_columns"] == ["收銀員"]
    totals = {kind: total["bills"] for kind, total in answer.json()["totals"].items()}
    assert totals == {
        "different_amount": 1,
        "missing_here": 1,
        "missing_there": 4,
        "duplicate_in_list": 1,
        "other_day": 0,
        "cancelled_here": 1,
        "matched": 3,
    }
    of_outlet = await tills.till.post(
        "/reconciliations", data, media_type="text/csv; charset=utf-8", day=tills.day, outlet=tills.terminal.outlet
    )
    assert {kind: total["bills"] for kind, total in of_outlet.json()["totals"].items()} == totals
    assert of_outlet.json()["reconciliation_id"] != answer.json()["reconciliation_id"]


@pytest.mark.parametrize(
    ("codec", "label"),
    [
        ("utf-8", "utf8"),
        ("utf-8-sig", None),
        ("gb18030", "gb2312"),
        ("gb18030", "cp936"),
        ("gb18030", None),
        ("cp950", "cp950"),
        ("cp950", None),
        ("utf-16-le", "utf-16le"),
        ("utf-16-be", None),
        ("utf-16", "UTF-16"),
    ],
)
async def test_a_list_as_a_spreadsheet_writes_it_is_the_same_list_in_every_charset(
    tills: Tills, codec: str, label: str | None
) -> None:
    today = datetime.date.fromisoformat(tills.day)
    day = f"{today.year}/{today.month}/{today.day}"
    amount = f"{tills.off['matched'] / 100:.2f}".replace(".", ",")
    rows = [
        "sep=;",
        '單號;抵扣金額;時間;"備註;其他"',
        f"'T-1;¥{amount};{day} 上午 0:05:00;x",
        f"2.02611E+11;1.250,00;{day};",
        "old;３;2020/1/1 9:05;y",
        "",
    ]
    text = "\r\n".join(rows)
    media_type = "text/csv" if label is None else f'text/csv; charset="{label}"'
    answer = await tills.till.post("/reconciliations", text.encode(codec), media_type=media_type, day=tills.day)
    assert answer.status_code in (200, 201), answer.text
    found = answer.json()
    assert found["ignored_columns"] == ["備註;其他"]
    assert found["read_as"] | {"charset": ""} == {
        "charset": "",
        "separator": ";",
        "decimal_mark": ",",
        "date_order": None,
    }
    assert [(each["note"], each["rows"]) for each in found["notes"]] == [
        ("references_shortened", [2]),
        ("rows_of_another_day", [3]),
    ]
    assert "試算表" in found["notes"][0]["explanation"]
    bills = {bill["reference"]: bill for bill in found["bills"]}
    assert (bills["2.02611E+11"]["kind"], bills["2.02611E+11"]["list_minor"]) == ("missing_here", 125_000)
    assert (bills["old"]["kind"], bills["old"]["list_minor"]) == ("other_day", 300)
    assert "2020-01-01" in bills["old"]["explanation"]
    assert found["totals"]["matched"]["bills"] == 1


@pytest.mark.parametrize(
    ("language", "words"),
    [("zh-HK", "縮短"), ("zh-CN", "电子表格"), ("en", "spreadsheet seems to have shortened")],
)
async def test_notes_and_explanations_are_in_the_readers_language_in_the_answer_and_in_the_file(
    tills: Tills, language: str, words: str
) -> None:
    found = await tills.send([{"reference": "9.9E+12", "amount_minor": 1}])
    path = f"{BASE}/reconciliations/{found['reconciliation_id']}"
    headers = {"authorization": f"Bearer {tills.till.key}", "accept-language": language}
    whole = (await tills.tong.http.get(path, headers=headers)).json()
    assert words in whole["notes"][0]["explanation"]
    [bill] = [bill for bill in whole["bills"] if bill["kind"] == "missing_here"]
    assert words in bill["explanation"]
    for form in ("csv", "json"):
        file = await tills.tong.http.get(f"{path}/file?format={form}", headers=headers)
        assert bill["explanation"] in file.content.decode("utf-8-sig")
    sheet = openpyxl.load_workbook(
        io.BytesIO((await tills.tong.http.get(f"{path}/file?format=xlsx", headers=headers)).content)
    )
    assert bill["explanation"] in {row[15] for row in sheet["bills"].iter_rows(values_only=True)}
    assert whole["notes"][0]["explanation"] in {row[1] for row in sheet["summary"].iter_rows(values_only=True)}
    chosen = await tills.till.get(
        f"/reconciliations/{found['reconciliation_id']}/file", f"{ONE}/file", format="csv", language="en"
    )
    assert "spreadsheet seems to have shortened" in chosen.text


async def test_a_formula_for_a_reference_is_text_in_the_csv_and_reads_back(tills: Tills) -> None:
    formula = '=HYPERLINK("http://evil.invalid","x")'
    found = await tills.send([{"reference": formula, "amount_minor": 1}, {"reference": "a;-1+1", "amount_minor": 1}])
    path = f"/reconciliations/{found['reconciliation_id']}/file"
    file = await tills.till.get(path, f"{ONE}/file")
    cells = [row["reference"] for row in csv.DictReader(io.StringIO(file.content.decode("utf-8-sig")))]
    assert {f"'{formula}", "a;'-1+1"} <= set(cells)
    assert {formula, "a;-1+1"} <= {without_guard(cell) for cell in cells}
    # The file sent back as a list names the same bills.
    again = await tills.till.post(
        "/reconciliations",
        "\n".join(("reference\tamount_minor", f"'{formula}\t1")).encode(),
        media_type="text/csv",
        day=tills.day,
    )
    assert formula in [bill["reference"] for bill in again.json()["bills"]]


async def test_a_duplicate_key_in_a_json_list_is_refused_with_its_row(tills: Tills) -> None:
    body = (
        b'{"rows": [{"reference": "A", "amount_minor": 1}, {"reference": "B", "amount_minor": 1, "amount_minor": 9}]}'
    )
    answer = await tills.till.post("/reconciliations", body, day=tills.day)
    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {"field": "row 2, column amount_minor", "reason": "is a duplicate key", "row": 2, "column": "amount_minor"}
    ]


async def test_a_list_that_cannot_be_read_is_refused_with_every_place(tills: Tills) -> None:
    async def refused(body: bytes, media_type: str = "text/csv", **parameters: str) -> dict[str, Any]:
        answer = await tills.till.post(
            "/reconciliations", body, media_type=media_type, **{"day": tills.day, **parameters}
        )
        assert answer.status_code >= 400, answer.text
        problem: dict[str, Any] = answer.json()
        return problem

    wrong = await refused(b"reference,amount_minor,time\nA,1,\nB,x,\n,1,\nC,1,noon\n")
    assert wrong["code"] == "malformed"
    assert [(each["row"], each["column"]) for each in wrong["errors"]] == [
        (2, "amount_minor"),
        (3, "reference"),
        (4, "time"),
    ]
    assert wrong["errors"][0]["field"] == "row 2, column amount_minor"
    many = await refused(b"reference,amount\n" + b"A,x\n" * 500)
    assert (len(many["errors"]), many["errors_total"]) == (100, 500)

    good = b"reference,amount\nA,1\n"
    assert (await refused(good, "text/plain"))["code"] == "unsupported_media_type"
    assert (await refused(good, "text/csv; charset=koi8-r"))["code"] == "unsupported_media_type"
    assert (await refused(good, "application/json"))["code"] == "malformed"
    tomorrow = datetime.date.fromisoformat(tills.day) + datetime.timedelta(days=1)
    long_ago = tomorrow - datetime.timedelta(days=200)
    for day in (tomorrow.isoformat(), long_ago.isoformat(), "22.11.2026"):
        problem = await refused(good, day=day)
        assert problem["errors"][0]["field"] == "day", problem
    assert (await refused(good, outlet="out_hotel_lobby"))["code"] == "not_found"
    assert (await refused(good, business="hotel"))["code"] == "not_found"
    assert (await refused(good, shop="1"))["errors"][0]["field"] == "shop"
    unsaid = await tills.till.post("/reconciliations", good, media_type="text/csv")
    assert unsaid.json()["errors"][0]["field"] == "day"
    assert (await refused(b"x" * (TILL_LIST_BYTES_MAX + 1)))["code"] == "body_too_large"


async def test_only_the_business_sees_its_reconciliations(tills: Tills) -> None:
    found = await tills.send([{"reference": "T-1", "amount_minor": 1}])
    demo = tills.stack.demo
    foreign = [each["api_key"] for each in demo["business_admins"] if each["business"] == "hotel"]
    path = f"/reconciliations/{found['reconciliation_id']}"
    for key in (*foreign, tills.stack.terminals["hotel"].api_key):
        office = Office(tills.tong.http, key)
        for suffix in ("", "/bills", "/file"):
            assert (await office.get(path + suffix, ONE + suffix)).status_code == 404
        ids = [each["reconciliation_id"] for each in await office.all_of("/reconciliations", "reconciliations")]
        assert found["reconciliation_id"] not in ids
        assert (await office.get("/reconciliations", business="reconciled")).status_code == 404
    everything = Office(tills.tong.http, demo["admin_api_key"])
    assert (await everything.found(path, ONE))["reconciliation_id"] == found["reconciliation_id"]
    unsaid = await everything.post("/reconciliations", {"rows": []}, day=tills.day)
    assert unsaid.json()["errors"][0]["field"] == "business"
    listed = await everything.all_of(
        "/reconciliations", "reconciliations", business="reconciled", day=tills.day, limit=1
    )
    assert found["reconciliation_id"] in [each["reconciliation_id"] for each in listed]
    made = [each["created_at"] for each in listed]
    assert made == sorted(made, reverse=True)


async def test_the_largest_list_is_taken_and_takes_no_memory_to_speak_of(tills: Tills) -> None:
    before = {pid: resident_kib(pid) for pid in tills.stack.workers}

    def list_of(name: str) -> bytes:
        rows = "".join(f"{name}-REFERENCE-{number:06},{number}.25\r\n" for number in range(TILL_LIST_ROWS_MAX))
        return f"reference,amount\r\n{rows}".encode()

    answers = await asyncio.gather(
        *(
            tills.till.post("/reconciliations", list_of(name), media_type="text/csv", day=tills.day)
            for name in ("ONE", "TWO")
        )
    )
    for answer in answers:
        assert answer.status_code == 201, answer.text
        assert answer.json()["totals"]["missing_here"]["bills"] == TILL_LIST_ROWS_MAX
        assert answer.json()["bills_left_out"] > TILL_LIST_ROWS_MAX - 100
        path = f"/reconciliations/{answer.json()['reconciliation_id']}/file"
        file = await tills.till.get(path, f"{ONE}/file")
        assert file.text.count("\r\n") == 1 + sum(total["bills"] for total in answer.json()["totals"].values())
    for pid, kib in before.items():
        assert resident_kib(pid) - kib < MEMORY_MAX_KIB

    # Who goes away in the middle of a file leaves its place to others.
    for _ in range(3 * SETTLEMENT_TRANSFERS_MAX):
        await wait_until("a worker takes the download", lambda: goes_away_from(tills, f"{BASE}{path}?format=json"))

    async def is_sent() -> bool:
        return (await tills.till.get(path, f"{ONE}/file")).status_code == 200

    await wait_until("a worker takes the download", is_sent)


async def goes_away_from(tills: Tills, target: str) -> bool:
    """Reads the first line of an answer and no more; whether it was a file."""
    host, _, port = tills.stack.base_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {target} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {tills.till.key}\r\n\r\n".encode())
    line = await asyncio.wait_for(reader.readline(), 30)
    writer.transport.abort()
    return b" 200 " in line


async def test_a_body_without_an_end_is_cut_off(tills: Tills) -> None:
    """Chunked, so that no length is known: refused once it is over the limit, and not before a key was asked for."""
    host, _, port = tills.stack.base_url.removeprefix("http://").partition(":")
    for key, status in ((tills.terminal.api_key, b" 413 "), ("nonsense", b" 401 ")):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"POST {BASE}/reconciliations?day={tills.day} HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n"
            f"content-type: text/csv\r\nauthorization: Bearer {key}\r\n\r\n".encode()
        )
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        sent = 0
        try:
            async with asyncio.timeout(30):
                answer = asyncio.create_task(reader.readline())
                while not answer.done() and sent < 1024:
                    writer.write(chunk)
                    await writer.drain()
                    sent += 1
                assert status in await answer
        except ConnectionError:
            assert status in await answer
        finally:
            writer.close()
        assert sent < 1024


async def test_the_command_line_tells_the_same(tills: Tills, tmp_path: Path) -> None:
    file = tmp_path / "day.json"
    file.write_text(json.dumps({"rows": hand_made(tills)[:-1]}))
    output = tmp_path / "answer.csv"
    process = await asyncio.create_subprocess_exec(
        *_tong(),
        "reconcile",
        str(file),
        "--business",
        "reconciled",
        "--day",
        tills.day,
        "--json",
        "--output",
        str(output),
        "--by",
        "anna",
        env=_environment(tills),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1  # there are differences
    kinds = {kind: total["bills"] for kind, total in json.loads(said)["totals"].items()}
    assert kinds["matched"] == 4
    with output.open(encoding="utf-8-sig", newline="") as written:
        assert [row["reference"] for row in csv.DictReader(written) if row["class"] == "missing_there"] == ["", "T-3"]
    file.write_text("[{}]")
    process = await asyncio.create_subprocess_exec(
        *_tong(),
        "reconcile",
        str(file),
        "--business",
        "reconciled",
        "--day",
        tills.day,
        "--by",
        "anna",
        env=_environment(tills),
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert b"row 1, column reference: is missing" in said


def _tong() -> tuple[str, ...]:
    return str(Path(sys.executable).with_name("tong")), "settle"


def _environment(tills: Tills) -> dict[str, str]:
    return {**os.environ, "TONG_POSTGRES_DSN": tills.stack.demo["postgres_dsn"]}


def resident_kib(pid: int) -> int:
    """Memory of a process that is in RAM."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


async def test_the_cut_off_hour_of_the_group_file_is_stored_and_bounded(stack: Stack) -> None:
    def bar(hour: int) -> dict[str, Any]:
        outlet = {"id": "out_bar_1", "name": {"en": "Bar"}, "terminals": [], "cut_off_hour": hour}
        return {"id": "bar", "name": {"en": "Bar"}, "currency": "CNY", "outlets": [outlet]}

    async def stored() -> object:
        async with stack.ledger() as ledger:
            return await ledger.fetchval("SELECT cut_off_hour FROM outlet WHERE outlet_id = 'out_bar_1'")

    for hour in (4, 0, 12):
        await stack.load(businesses=[bar(hour)])
        assert await stored() == hour
    for hour in (13, -1):
        with pytest.raises(GroupFileRefused, match="cut_off_hour"):
            await stack.load(businesses=[bar(hour)])
    assert await stored() == 12
