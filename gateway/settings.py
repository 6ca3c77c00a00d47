"""Settings from the environment, prefix `TONG_`. Read once at start; no worker reads the environment again.

The development stack (`tong up`) fills in what is missing: its own Valkey and PostgreSQL, keys and the development
issuer. A part that runs alone (`tong serve`, `tong write-ledger`, …) needs both addresses given. Every other command
takes those of the stack that runs on TONG_HOME when none is given (gateway/administration/running_stack.py).
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from redemption.domain.errors import ConfigurationError
from redemption.domain.limits import BUCKETS_DEFAULT, BUCKETS_MAX

DEVELOPMENT_ISSUER = "https://identity.tong.invalid"
"""Issuer of the built-in development access tokens; `.invalid` can never be a real host (RFC 2606)."""


class SettingsRefused(ConfigurationError):
    """A setting is missing or contradicts another; the text says which and what to do."""


class Settings(BaseSettings):
    """All settings. Names are the environment variables without their prefix."""

    model_config = SettingsConfigDict(env_prefix="TONG_", extra="ignore", frozen=True)

    home: Path = Field(default=Path("var"), description="data folder of the development stack")
    host: str = Field(default="127.0.0.1", description="address the gateway listens on")
    port: int = Field(default=8000, ge=0, le=65535, description="port the gateway listens on; 0 takes a free one")
    workers: int = Field(default=1, ge=1, le=64, description="gateway processes")
    valkey_url: SecretStr | None = Field(default=None, description="redis://, rediss:// or unix:// of the hot store")
    valkey_cluster: bool = Field(default=False, description="the hot store is a cluster")
    valkey_checked: bool = Field(
        default=False, description="who may ask the hot store how durable it is did so (`tong migrate`, `tong up`)"
    )
    postgres_dsn: SecretStr | None = Field(default=None, description="postgresql:// of the ledger")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    backlog_max: int = Field(
        default=1_000_000, ge=1, description="entries waiting for the ledger above which new scans are refused"
    )

    environment: str = Field(
        default="dev", pattern=r"^[a-z0-9]{1,6}$", description="part of every key and key id: dev, test, live"
    )
    buckets: int = Field(default=BUCKETS_DEFAULT, ge=1, le=BUCKETS_MAX, description="fixed at install")
    code_keys_file: Path | None = Field(
        default=None, description="key ring of the member codes; default code-keys.json in TONG_HOME"
    )
    code_algorithm: Literal["HS256", "EdDSA"] = Field(
        default="HS256", description="which kind of key of the ring signs member codes"
    )

    seal_key_file: Path | None = Field(
        default=None, description="key of the ledger's hash chain, mode 0600; default seal-key in TONG_HOME"
    )

    font_path: Path | None = Field(
        default=None,
        description="folder with a Chinese font for PDF statements; default: the package's or the system's",
    )

    member_issuer: str | None = Field(default=None, description="iss of the members' access tokens")
    member_audience: str = Field(default="tong", description="aud of the members' access tokens")
    member_algorithms: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("EdDSA", "ES256", "RS256"),
        description="algorithms accepted, separated by commas in the environment",
    )
    member_jwks: str | None = Field(default=None, description="https:// URL or path of the identity provider's JWKS")
    development: bool = Field(default=False, description="set by `tong up`: the development issuer may be used")

    _stores_missing: str | None = PrivateAttr(default=None)

    def without_stores(self, reason: str) -> Self:
        """Return these settings with the reason why no running stack gave them the addresses of its stores."""
        copy = self.model_copy()
        copy._stores_missing = reason
        return copy

    def stores(self) -> tuple[str, str]:
        """Return the addresses of the hot store and the ledger, for a part that runs alone.

        Raises `SettingsRefused`.
        """
        if self.valkey_url is None or self.postgres_dsn is None:
            raise self._missing("TONG_VALKEY_URL and TONG_POSTGRES_DSN")
        if self.valkey_cluster:
            raise SettingsRefused(
                "TONG_VALKEY_CLUSTER: keys are laid out for a cluster, but the multiplexed connection and the ledger "
                "writer speak to one server so far; give the address of a single server"
            )
        return self.valkey_url.get_secret_value(), self.postgres_dsn.get_secret_value()

    def ledger(self) -> str:
        """Return the address of the ledger. Raises `SettingsRefused`."""
        if self.postgres_dsn is None:
            raise self._missing("TONG_POSTGRES_DSN")
        return self.postgres_dsn.get_secret_value()

    def hot_store(self) -> str:
        """Return the address of the hot store. Raises `SettingsRefused`."""
        if self.valkey_url is None:
            raise self._missing("TONG_VALKEY_URL")
        return self.valkey_url.get_secret_value()

    def _missing(self, names: str) -> SettingsRefused:
        if self._stores_missing is not None:
            return SettingsRefused(f"{self._stores_missing}, or set {names}")
        verb = "are" if " and " in names else "is"
        return SettingsRefused(f"{names} {verb} needed; `tong up` brings its own servers")

    def identity_folder(self) -> Path:
        """Return where the development issuer keeps its key."""
        return self.home / "identity"

    def seal_key_path(self) -> Path:
        """Return the path of the key of the ledger's chain."""
        return self.seal_key_file or self.home / "seal-key"

    def code_keys_path(self) -> Path:
        """Return the path of the key ring of the member codes."""
        return self.code_keys_file or self.home / "code-keys.json"
