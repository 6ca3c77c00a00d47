"""PostgreSQL refuses to run as root. As root, the development stack gives it a system account of its own.

Guarantees: while a `Passage` is open, the account can pass through the folders above its data and the wheel's programs,
by an access control entry that names this account only and allows passing through, not listing and not reading; no
folder is opened to anybody else. Changes to folders that are not the stack's own are printed. The last passage of
this machine through a folder takes the entry away again when it closes.

Does not guarantee that: a process that is killed leaves its entries until the next passage through that folder closes.
"""

import errno
import fcntl
import os
import pwd
import stat
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.processes.child import Account
from redemption.domain.errors import ConfigurationError

ACCOUNT_NAME: Final = "tong-postgres"
COMMAND_SECONDS: Final = 30.0

# Linux's binary form of a POSIX access control list (include/uapi/linux/posix_acl_xattr.h): version, then entries of
# tag, permissions, id. It is written here because neither Python nor a minimal image has a command for it.
_ACL: Final = "system.posix_acl_access"
_VERSION: Final = 2
_USER_OWNER, _USER, _GROUP_OWNER, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_NO_ID: Final = 0xFFFFFFFF
_EXECUTE: Final = 1


class AccountUnusable(ConfigurationError):
    """There is no account, or it cannot reach a folder. The text says what to do."""


def needed() -> bool:
    return os.geteuid() == 0


def postgres_account() -> Account:
    """Return the account, made with `useradd` if it is missing. Raises AccountUnusable."""
    try:
        entry = pwd.getpwnam(ACCOUNT_NAME)
    except KeyError:
        command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        command += ["--shell", "/bin/false", ACCOUNT_NAME]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=COMMAND_SECONDS)
            entry = pwd.getpwnam(ACCOUNT_NAME)
        except (OSError, subprocess.SubprocessError, KeyError) as error:
            raise AccountUnusable(
                "PostgreSQL does not run as root, and the system account for it could not be made "
                f"({' '.join(command)}: {error}). Run as an ordinary user, or give TONG_POSTGRES_DSN."
            ) from error
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


class Passage:
    """The folders that PostgreSQL's account may pass through because of us.

    Each is held by a shared lock on the folder itself, so that of several stacks and test runs in one folder the last
    one that closes takes the entry away. Without root nothing is ever held.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._held: dict[Path, tuple[int, Account]] = {}

    def allow(self, account: Account, path: Path, own: Path) -> None:
        """Let the account pass through every folder above `path`.

        `own` is the stack's folder: changes in it are not reported.

        Raises AccountUnusable.
        """
        for folder in reversed(path.resolve().parents):
            if folder not in self._held:
                self._allow(account, folder, is_own=folder.is_relative_to(own.resolve()))

    def close(self) -> None:
        """Take the entries away from every folder that no other process needs them on. May be called again."""
        while self._held:
            folder, (descriptor, account) = self._held.popitem()
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:  # another stack passes through it, and its passage takes the entry away
                continue
            else:
                _forbid_passing(account, folder)
            finally:
                os.close(descriptor)

    def _allow(self, account: Account, folder: Path, *, is_own: bool) -> None:
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                # The lock comes before the look, so that nobody takes the entry away in between.
                fcntl.flock(descriptor, fcntl.LOCK_SH)
                was_there = _may_pass(account, folder)
                if not was_there:
                    _allow_passing(account, folder)
            except BaseException:
                os.close(descriptor)
                raise
        except OSError as error:
            why = "it has no access control lists" if error.errno == errno.ENOTSUP else str(error)
            raise AccountUnusable(
                f"the account {account.name} that PostgreSQL runs as cannot pass through {folder}, and cannot be "
                f"allowed to ({why}). Set TONG_HOME to a folder below one that everybody may enter, such as "
                "/var/lib/tong, or run as an ordinary user, or give TONG_POSTGRES_DSN."
            ) from error
        if not _has_entry(account, folder):
            os.close(descriptor)  # the folder is open to everybody already
            return
        self._held[folder] = (descriptor, account)
        if not was_there and not is_own:
            self._say(
                f"the account {account.name} may pass through {folder} while this runs (setfacl -m u:{account.name}:x)"
            )


def check_program(account: Account, program: Path) -> None:
    """Check that the account can run the program. Raises AccountUnusable where it cannot."""
    try:
        subprocess.run(
            [str(program), "--version"],
            check=True,
            capture_output=True,
            timeout=COMMAND_SECONDS,
            cwd="/",
            user=account.uid,
            group=account.gid,
            extra_groups=[],
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise AccountUnusable(
            f"the account {account.name} cannot run {program} ({error}). If the environment was installed under "
            f"a umask that hides files from others: chmod -R go+rX {program.parents[1]}"
        ) from error


def _may_pass(account: Account, folder: Path) -> bool:
    status = folder.stat()
    entries = _entries(folder)
    mask = next((permissions for tag, permissions, _ in entries if tag == _MASK), 7)  # chmod may have reduced the mask
    for tag, permissions, identity in entries:
        if tag == _USER and identity == account.uid:
            return bool(permissions & mask & _EXECUTE)
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def _allow_passing(account: Account, folder: Path) -> None:
    mode = folder.stat().st_mode
    entries = _entries(folder) or [
        (_USER_OWNER, (mode >> 6) & 7, _NO_ID),
        (_GROUP_OWNER, (mode >> 3) & 7, _NO_ID),
        (_OTHER, mode & 7, _NO_ID),
    ]
    # The mask limits named users and groups, so the named user's right must be in it. Nobody else may gain a right by
    # that, so rights that the mask hid until now are removed from the other entries.
    masks = [permissions for tag, permissions, _ in entries if tag == _MASK]
    mask = masks[0] if masks else 7
    kept = [
        (tag, permissions & mask if tag in (_USER, _GROUP, _GROUP_OWNER) else permissions, identity)
        for tag, permissions, identity in entries
        if tag != _MASK and (tag, identity) != (_USER, account.uid)
    ]
    kept.append((_USER, _EXECUTE, account.uid))
    union = 0
    for tag, permissions, _ in kept:
        union |= permissions if tag in (_USER, _GROUP, _GROUP_OWNER) else 0
    kept.append((_MASK, union, _NO_ID))
    _write(folder, kept)


def _forbid_passing(account: Account, folder: Path) -> None:
    """Take the account's entry away. Without other named entries the folder is left with plain mode bits."""
    entries = _entries(folder)
    kept = [entry for entry in entries if entry[0] != _MASK and (entry[0], entry[2]) != (_USER, account.uid)]
    named = [permissions for tag, permissions, _ in kept if tag in (_USER, _GROUP)]
    if named:
        union = 0
        for tag, permissions, _ in kept:
            union |= permissions if tag in (_USER, _GROUP, _GROUP_OWNER) else 0
        kept.append((_MASK, union, _NO_ID))
    if entries:
        _write(folder, kept)


def _write(folder: Path, entries: list[tuple[int, int, int]]) -> None:
    ordered = sorted(entries, key=lambda entry: (entry[0], entry[2]))
    packed = b"".join(struct.pack("<HHI", *entry) for entry in ordered)
    os.setxattr(folder, _ACL, struct.pack("<I", _VERSION) + packed)


def _has_entry(account: Account, folder: Path) -> bool:
    return any(tag == _USER and identity == account.uid for tag, _, identity in _entries(folder))


def _entries(folder: Path) -> list[tuple[int, int, int]]:
    try:
        raw = os.getxattr(folder, _ACL)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return []
        raise
    return [struct.unpack_from("<HHI", raw, offset) for offset in range(4, len(raw), 8)]
