"""Weaknesses of a given server as values; what makes it unusable is an exception."""

from dataclasses import dataclass

from redemption.domain.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class ConfigurationWarning:
    """One setting of a server that makes it weaker than promised."""

    server: str
    setting: str
    found: str
    wanted: str
    meaning: str

    def __str__(self) -> str:
        return f"{self.server}: {self.setting} is {self.found}, wanted {self.wanted}: {self.meaning}"


class ServerUnusable(ConfigurationError):
    """A server cannot be used at all: not reachable, too old, read-only. The text says what to do."""
