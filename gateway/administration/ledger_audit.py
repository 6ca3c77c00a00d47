"""`tong audit` and `tong rebuild`: composed from the settings, reported to whoever ran them.

Findings and the summary go to standard output, progress to standard error.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from gateway.settings import Settings, SettingsRefused
from gateway.workers.sealer import ledger_pool, read_heads
from redemption.domain.members import bucket_of, member_number
from redemption.hot.install import install, open_client
from redemption.hot.library import assemble
from redemption.ledger.audit.auditing import Audit, AuditReport
from redemption.ledger.audit.ledger import Evidence
from redemption.ledger.chain import read_seal_key
from redemption.ledger.findings import Finding
from redemption.ledger.rebuild import Rebuild, RebuildRefused, Report, buckets_installed

CLEAN = 0
DIFFERENCES = 1


@dataclass(frozen=True, slots=True)
class Scope:
    """The extent of a rebuild: everything, some buckets, or one member."""

    everything: bool
    buckets: tuple[int, ...]
    member_id: str | None


async def audit(
    settings: Settings,
    buckets: Sequence[int],
    heads: Path | None,
    archive: Path | None,
    *,
    as_json: bool,
    drain_seconds: float,
) -> int:
    """Audit the stores and return the exit status. Raises the reason where it cannot run."""
    valkey_url, _ = settings.stores()
    path = settings.seal_key_path()
    key = read_seal_key(path) if path.exists() else None
    if key is None:
        if heads is not None or archive is not None:
            raise SettingsRefused(f"without the seal key ({path}) neither heads nor archived rows can be verified")
        progress(f"no seal key at {path}: the chain is not verified")
    pool = await ledger_pool(settings, "tong-audit")
    try:
        async with open_client(valkey_url, cluster=settings.valkey_cluster) as client:
            async with pool.acquire() as connection:
                wanted = _of(await buckets_installed(connection), buckets)
            audit = Audit(
                pool,
                client,
                evidence=Evidence(
                    key, [head for head in read_heads(heads) if head.bucket in wanted] if heads else (), archive
                ),
                say=progress,
                drain_seconds=drain_seconds,
            )
            report = await audit.run(wanted)
    finally:
        await pool.close()
    if as_json:
        write(_json(report))
    else:
        for finding in report.findings:
            write(str(finding))
        write(_summary(report))
    return DIFFERENCES if report.findings else CLEAN


async def rebuild_scope(settings: Settings, scope: Scope, *, freeze: bool) -> list[str]:
    """Return what a rebuild would touch, a line each. Raises `RebuildRefused`."""
    settings.stores()
    pool = await ledger_pool(settings, "tong-rebuild")
    try:
        async with pool.acquire() as connection:
            installed = await buckets_installed(connection)
    finally:
        await pool.close()
    buckets = _scope(scope, installed)
    whose = scope.member_id or f"every member of {len(buckets)} of {installed} buckets"
    lines = [f"the hot store's state of {whose} is replaced by what the ledger says (--dry-run shows the differences)"]
    if freeze:
        lines.append(
            "buckets that are neither empty nor frozen are frozen first: their members are refused until the end"
        )
    return lines


async def rebuild(
    settings: Settings, scope: Scope, *, dry_run: bool, freeze: bool, accept_loss: bool, as_json: bool = False
) -> int:
    """Rebuild and return the exit status: after a dry run 1 where something would change. Raises `RebuildRefused`."""
    valkey_url, _ = settings.stores()
    pool = await ledger_pool(settings, "tong-rebuild")
    try:
        async with open_client(valkey_url, cluster=settings.valkey_cluster) as client:
            async with pool.acquire() as connection:
                installed = await buckets_installed(connection)
            buckets = _scope(scope, installed)
            work = Rebuild(pool, client, cluster=settings.valkey_cluster, say=progress, now=time.time)
            if dry_run:
                report = await work.compare(buckets, scope.member_id)
            else:
                await install(client, assemble(), installed)
                report = await work.rebuild(buckets, scope.member_id, freeze=freeze, accept_loss=accept_loss)
    finally:
        await pool.close()
    if as_json:
        write(orjson.dumps(_rebuilt(report, len(buckets), dry_run=dry_run), option=orjson.OPT_INDENT_2).decode())
        return DIFFERENCES if dry_run and report.findings else CLEAN
    for finding in report.findings:
        write(str(finding))
    if report.unknown_members:
        write(f"{report.unknown_members} members have transactions and are not in the configuration: left out")
    if report.calls_without_key:
        write(
            f"{report.calls_without_key} calls were entered without what restores their keys (docs/reference/ledger.md)"
        )
    what = f"{len(report.findings)} differences" if dry_run else f"{report.keys_written} keys written"
    write(f"{report.members} members in {len(buckets)} buckets: {what}, {report.entries_carried} entries carried over")
    return DIFFERENCES if dry_run and report.findings else CLEAN


def _rebuilt(report: Report, buckets: int, *, dry_run: bool) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "buckets": buckets,
        "members": report.members,
        "unknown_members": report.unknown_members,
        "calls_without_key": report.calls_without_key,
        "keys_written": report.keys_written,
        "entries_carried": report.entries_carried,
        "findings": [_document(finding) for finding in report.findings],
    }


def progress(text: str) -> None:
    """Print the progress to standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def write(text: str) -> None:
    """Print a line of the report."""
    sys.stdout.write(f"{text}\n")


def _of(installed: int, buckets: Sequence[int]) -> list[int]:
    if any(not 0 <= bucket < installed for bucket in buckets):
        raise RebuildRefused(f"buckets are 0 to {installed - 1}")
    return sorted(set(buckets)) or list(range(installed))


def _scope(scope: Scope, installed: int) -> list[int]:
    if sum((scope.everything, bool(scope.buckets), scope.member_id is not None)) != 1:
        raise RebuildRefused("say what: --all, --bucket N or --member mem_…")
    if scope.member_id is None:
        return _of(installed, scope.buckets)
    number = member_number(scope.member_id)
    if number is None:
        raise RebuildRefused(f"{scope.member_id} is no member id")
    return [bucket_of(number, installed)]


def _summary(report: AuditReport) -> str:
    chain = f"{report.rows_not_sealed} not sealed yet" if report.chain_verified else "chain not verified"
    if report.rows_archived:
        chain += f", {report.rows_archived} archived"
    if report.not_seen:
        chain += f", {report.not_seen} seals or heads among them need --archive FOLDER"
    found = "clean" if not report.findings else f"{len(report.findings)} differences"
    return (
        f"{found}: {report.buckets} buckets, {report.rows} ledger rows ({chain}), {report.keys_seen} keys of the hot "
        f"store, {report.seconds:.1f} s"
    )


def _json(report: AuditReport) -> str:
    checks: dict[str, int] = {}
    for finding in report.findings:
        checks[finding.check] = checks.get(finding.check, 0) + 1
    document = {
        "clean": not report.findings,
        "buckets": report.buckets,
        "rows": report.rows,
        "rows_not_sealed": report.rows_not_sealed if report.chain_verified else None,
        "rows_archived": report.rows_archived,
        "not_seen": report.not_seen,
        "chain_verified": report.chain_verified,
        "keys_seen": report.keys_seen,
        "seconds": round(report.seconds, 3),
        "by_check": checks,
        "findings": [_document(finding) for finding in report.findings],
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def _document(finding: Finding) -> dict[str, object]:
    return finding.document()
