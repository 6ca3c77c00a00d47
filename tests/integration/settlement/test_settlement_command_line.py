"""`tong settle …` as processes, from an empty ledger to a paid period; and the demo group's agreements."""

import asyncio
import csv
import hashlib
import json
import os
import re
import signal
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from gateway.formats.spreadsheets import without_guard
from loadtest.stack import TONG
from redemption.configuration.group_file import read_group
from tests.support.servers.postgres import PrivatePostgres
from tests.support.settlement.settlement import Book, at, differences, group_pool
from tests.support.suite.waiting import wait_until

FORMULA = '=HYPERLINK("http://evil.invalid","click")'
GROUP_FILE = Path(__file__).parents[3] / "gateway" / "development" / "group.yaml"


async def tong(dsn: str, *arguments: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of `tong settle …`."""
    process = await asyncio.create_subprocess_exec(
        TONG, "settle", *arguments, stdout=PIPE, stderr=PIPE, env={**os.environ, "TONG_POSTGRES_DSN": dsn}
    )
    out, error = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


async def done(dsn: str, *arguments: str) -> str:
    """Stdout of one that must work."""
    status, out, error = await tong(dsn, *arguments)
    assert status == 0, error
    return out


@pytest.mark.timeout(400)  # some twenty processes, one after another
async def test_a_month_is_settled_closed_disputed_approved_and_paid_from_the_command_line(
    postgres: PrivatePostgres, tmp_path: Path
) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        leg = {"kind": "points", "points": 1000, "value_minor": 1000}
        moves = [("points", "202701.hotel", "A", "R", 1000)]
        bill = {"reference": FORMULA, "amount_minor": 5_000, "currency": "CNY"}
        await Book(pool).write("redeem", "rdm_1", "mall", moves, at("2026-10-05T04:00"), legs=[leg], bill=bill)
        await done(dsn, "run")
        exceptions = [json.loads(line) for line in (await done(dsn, "exceptions", "--json")).splitlines()]
        assert [(one["subject_id"], one["reason"]) for one in exceptions] == [("rdm_1", "no_agreement")]
        file = tmp_path / "points.yaml"
        file.write_text(
            "{issuer: '*', acceptor: '*', instrument: points, valid_from: 2026-01-01,"
            " rule: {kind: proportion, basis_points: 9800}}"
        )
        assert "points v1 added" in await done(dsn, "agreements", "add", "points", str(file), "--by", "anna")
        assert "points v1 in force already" in await done(dsn, "agreements", "add", "points", str(file))
        assert json.loads(await done(dsn, "agreements", "list", "--json"))[0]["added_by"] == "anna"
        file.write_text(file.read_text().replace("instrument: points", "instrument: points, issuer: hotel"))
        status, out, error = await tong(dsn, "agreements", "add", "points", str(file))
        assert (status, out) == (1, "")
        assert "`issuer` is a duplicate key" in error
        closed = json.loads(await done(dsn, "close", "--month", "2026-10", "--by", "anna", "--json", "--yes"))
        period = closed["periods"][0]
        assert (period["period_id"], period["number"], period["lines"]) == ("202610.hotel.mall", 1, 1)
        assert "was closed before" in await done(dsn, "close", "--month", "202610")
        text = await done(dsn, "lines", "--month", "202610")
        rows = list(csv.DictReader(text.splitlines()))
        assert [(row["issuer"], row["acceptor"], row["amount_minor"]) for row in rows] == [("hotel", "mall", "980")]
        assert rows[0]["bill_reference"] == f"'{FORMULA}"
        assert without_guard(rows[0]["bill_reference"]) == FORMULA
        assert (rows[0]["occurred_at"], rows[0]["local_day"]) == ("2026-10-05T04:00:00.000Z", "2026-10-05")
        assert (rows[0]["reference"], "\r" in text) == ("", False)
        dispute = (
            await done(dsn, "dispute", "open", rows[0]["line_id"], "--as", "hotel", "--reason", "too much")
        ).strip()
        status, _, error = await tong(dsn, "approve", "202610.hotel.mall", "--as", "mall", "--yes")
        assert (status, "(disputed)" in error) == (1, True)
        assert dispute in await done(dsn, "dispute", "list")
        await done(dsn, "dispute", "resolve", dispute, "--amount-minor", "900", "--note", "agreed", "--yes")
        for business in ("hotel", "mall"):
            await done(dsn, "approve", "202610.hotel.mall", "--as", business, "--yes")
        assert "paid with BANK-7" in await done(dsn, "pay", "202610.hotel.mall", "--reference", "BANK-7", "--yes")
        told = await done(dsn, "status", "--month", "202610")
        assert re.search(r"202610\.hotel\.mall +1 +paid +1 +hotel +mall +9\.80 CNY", told)
        assert "0 exceptions" in told
        status, _, error = await tong(dsn, "pay", "202610.hotel.spa", "--reference", "BANK-8", "--yes")
        assert (status, "there is no period" in error) == (1, True)
        assert await differences(pool) == []


async def test_a_periods_hash_is_the_sha256_of_what_copy_writes(postgres: PrivatePostgres) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        moves = [("points", "202701.hotel", "A", "R", 7)]
        await Book(pool).write("redeem", "rdm_1", "hotel", moves, at("2026-10-05T04:00"))
        closed = json.loads(await done(dsn, "close", "--month", "2026-10", "--json", "--yes"))
    text = (
        "stl_0-1-1-0-1\tuse\t0\t1\t1\t0\tredeem\trdm_1\thotel\thotel\tpoints\t7\t0\t0\t0\tCNY\t\\N\t\\N\t\\N\t\\N"
        "\tout_hotel_1\t\\N\t1791172800000\t2026-10-05\t202610\n"
    )
    assert closed["periods"][0]["sha256"] == hashlib.sha256(text.encode()).hexdigest()


async def test_following_settles_what_comes_and_ends_when_told(postgres: PrivatePostgres) -> None:
    async with postgres.fresh_database() as dsn, group_pool(dsn) as pool:
        process = await asyncio.create_subprocess_exec(
            TONG, "settle", "run", "--follow", stderr=PIPE, env={**os.environ, "TONG_POSTGRES_DSN": dsn}
        )
        try:
            book = Book(pool)
            for number in (1, 2):
                moves = [("points", "202701.hotel", "A", "R", 7)]
                await book.write("redeem", f"rdm_{number}", "hotel", moves, at("2026-10-05T04:00"))

                async def settled(wanted: int = number) -> bool:
                    return bool(await pool.fetchval("SELECT count(*) = $1 FROM settlement_line", wanted))

                await wait_until(f"{number} lines are there", settled)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 10) == 0
        finally:
            if process.returncode is None:
                process.kill()


async def test_without_a_ledger_the_command_says_what_is_missing_in_a_sentence(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        TONG,
        "settle",
        "status",
        stderr=PIPE,
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("TONG_")},
    )
    _, error = await asyncio.wait_for(process.communicate(), 60)
    sentence = (
        "tong: nothing runs on TONG_HOME=var (no demo.json there); start it with `tong up`, or set TONG_POSTGRES_DSN"
    )
    assert (process.returncode, error.decode()) == (1, sentence + "\n")


def test_the_demo_group_has_an_agreement_for_every_instrument() -> None:
    agreements = read_group(GROUP_FILE).group.agreements.values()
    for instrument in ("points", "benefit", "stored_value"):
        general = [one for one in agreements if (one.issuer, one.acceptor, one.instrument) == ("*", "*", instrument)]
        assert len([one for one in general if one.benefit is None and one.category is None]) == 1
