"""A till that signs its requests (RFC 9421), written by hand from the RFC: it shares nothing with the product."""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


@dataclass(frozen=True)
class Signer:
    """What a till signs with: a private key of Ed25519, or the shared secret of HMAC."""

    key_id: str
    private: Ed25519PrivateKey | None = field(default=None, repr=False)
    secret: bytes | None = field(default=None, repr=False)

    @property
    def public_key(self) -> bytes:
        assert self.private is not None
        return self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def headers(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        idempotency_key: str | None = None,
        *,
        created: float | None = None,
        leave_out: str | None = None,
        values: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """The headers to send beside the credential. `leave_out` and `values` spoil what is signed."""
        path, _, query = target.partition("?")
        components = {"@method": method, "@path": path}
        headers = {}
        if query:
            components["@query"] = f"?{query}"
        if body:
            headers["content-digest"] = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
            components["content-digest"] = headers["content-digest"]
        if idempotency_key is not None:
            headers["idempotency-key"] = idempotency_key
            components["idempotency-key"] = idempotency_key
        components.update(values or {})
        components.pop(leave_out or "", None)
        names = " ".join(f'"{name}"' for name in components)
        moment = int(time.time() if created is None else created)
        parameters = f'({names});created={moment};keyid="{self.key_id}"'
        lines = [f'"{name}": {value}' for name, value in components.items()]
        base = "\n".join([*lines, f'"@signature-params": {parameters}']).encode()
        signature = base64.b64encode(self._signed(base)).decode()
        return {**headers, "signature-input": f"till={parameters}", "signature": f"till=:{signature}:"}

    def _signed(self, base: bytes) -> bytes:
        if self.private is not None:
            return self.private.sign(base)
        assert self.secret is not None
        return hmac.digest(self.secret, base, "sha256")
