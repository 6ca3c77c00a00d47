"""The development stack that runs on a TONG_HOME: its demo.json and the addresses of its stores.

Guarantees: addresses are never mixed. A command takes both stores of the running stack, or, where the environment
names one store or both, only what the environment names: a rebuild must not write one group's ledger into another's
hot store. A demo.json that a killed stack left behind is not believed: the lock of the home says whether a stack runs.
"""

import fcntl
import json
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from gateway.settings import Settings, SettingsRefused

DEMO_FILE: Final = "demo.json"
LOCK_FILE: Final = "lock"


def read_running(home: Path) -> dict[str, Any]:
    """Return the content of the running stack's demo.json. Raises `SettingsRefused` where none runs."""
    file = home / DEMO_FILE
    try:
        content: dict[str, Any] = json.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise SettingsRefused(
            f"nothing runs on TONG_HOME={home} (no {DEMO_FILE} there); start it with `tong up`"
        ) from None
    except PermissionError:
        raise SettingsRefused(f"{file} belongs to another user; run this as the user who ran `tong up`") from None
    except ValueError as fault:
        raise SettingsRefused(f"{file} is damaged ({fault}); stop `tong up` and start it again") from None
    if not _lock_is_held(home):
        raise SettingsRefused(
            f"nothing runs on TONG_HOME={home} ({DEMO_FILE} is left from a stack that was killed); "
            "start it with `tong up`"
        )
    return content


def with_running_stores(settings: Settings) -> Settings:
    """Return the settings with the addresses of the running stack's stores where the environment names no store.

    Where no stack runs the settings come back with the reason; a command that needs a store refuses with it
    (`Settings.ledger`, `Settings.stores`), one that needs none goes on.
    """
    if settings.valkey_url is not None or settings.postgres_dsn is not None:
        return settings
    try:
        content = read_running(settings.home)
    except SettingsRefused as reason:
        return settings.without_stores(str(reason))
    return settings.model_copy(
        update={
            "valkey_url": SecretStr(content["valkey_url"]),
            "postgres_dsn": SecretStr(content["postgres_dsn"]),
        }
    )


def _lock_is_held(home: Path) -> bool:
    """Return whether a process holds the lock of the home; true where a home has no lock, as a copied one."""
    try:
        with (home / LOCK_FILE).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return True
    return False
