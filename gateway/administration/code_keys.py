"""List, rotate and retire the keys that sign member codes."""

from datetime import UTC, datetime
from typing import Any

from gateway.settings import Settings
from redemption.domain.clock import system_clock
from tokens.keyring import KeyRing


def list_code_keys(settings: Settings) -> list[dict[str, Any]]:
    """Return every key of the ring's file without its secrets; `signs`: it signs now. Raises `KeyRingUnusable`."""
    ring = KeyRing.load(settings.code_keys_path(), settings.environment)
    signing = ring.signing_key(settings.code_algorithm, system_clock())
    return [
        {
            "kid": key.kid,
            "algorithm": key.algorithm,
            "signs_from": f"{datetime.fromtimestamp(key.signs_from, UTC):%F %T}" if key.signs_from else "",
            "signs": key.kid == signing.kid,
        }
        for key in ring.keys
    ]


def rotate_code_key(settings: Settings) -> str:
    """Add a signing key of the configured algorithm to the ring's file and return its id. Raises `KeyRingUnusable`."""
    path = settings.code_keys_path()
    ring = KeyRing.load(path, settings.environment).rotate(settings.code_algorithm, system_clock())
    ring.save(path)
    return ring.keys[-1].kid


def retire_code_key(settings: Settings, kid: str) -> None:
    """Take a key out of the ring's file. Raises `KeyRingUnusable`."""
    path = settings.code_keys_path()
    KeyRing.load(path, settings.environment).retire(kid, system_clock()).save(path)
