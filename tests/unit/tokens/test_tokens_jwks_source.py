"""Where the identity provider's keys come from: files, https (a real server), and the development issuer."""

import datetime
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tokens import access
from tokens.access import AccessTokenVerifier, MemberAccess
from tokens.development_issuer import DevelopmentIssuer
from tokens.errors import KeyRingUnusable, KeySourceAway
from tokens.jwks_source import JWKS_BYTES_MAX, FileKeySource, HttpsKeySource
from tokens.keyring import KeyRing

ISSUER, AUDIENCE, NOW = "https://identity.example", "tong", 1_795_000_000.0
DOCUMENT = json.dumps(KeyRing.create("dev", "EdDSA").public_jwks()).encode()


def clock() -> float:
    return NOW


async def test_the_development_issuers_tokens_are_accepted_after_a_restart_too(tmp_path: Path) -> None:
    first = DevelopmentIssuer(tmp_path, ISSUER, AUDIENCE, clock)
    second = DevelopmentIssuer(tmp_path, ISSUER, AUDIENCE, clock)
    assert first.public_jwks() == second.public_jwks()
    assert (tmp_path / "identity-key.json").stat().st_mode & 0o777 == 0o600
    assert set(first.public_jwks()["keys"][0]) == {"kty", "crv", "alg", "use", "kid", "x"}
    checker = AccessTokenVerifier(
        issuer=ISSUER,
        audience=AUDIENCE,
        algorithms=["EdDSA"],
        source=FileKeySource(second.jwks_path),
        clock=clock,
    )
    answer = await checker.verify(first.access_token("mem_0000002", 3600))
    assert answer == MemberAccess("mem_0000002", NOW + 3600)
    assert await checker.verify(first.access_token("mem_0000002", -6)) == access.EXPIRED
    secret = json.loads((tmp_path / "identity-key.json").read_bytes())["private_key"]
    assert secret not in repr(first)
    assert secret not in first.jwks_path.read_text()


def test_an_open_or_broken_development_key_is_a_fault(tmp_path: Path) -> None:
    DevelopmentIssuer(tmp_path, ISSUER, AUDIENCE, clock)
    path = tmp_path / "identity-key.json"
    path.chmod(0o644)
    with pytest.raises(KeyRingUnusable, match="chmod 600"):
        DevelopmentIssuer(tmp_path, ISSUER, AUDIENCE, clock)
    path.chmod(0o600)
    for text in ("{", '{"kid":"x","private_key":"AAAA"}', "\xff"):
        path.write_text(text)
        with pytest.raises(KeyRingUnusable):
            DevelopmentIssuer(tmp_path, ISSUER, AUDIENCE, clock)


async def test_a_missing_or_large_jwks_file_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(KeySourceAway, match="cannot be read"):
        await FileKeySource(tmp_path / "none.json").fetch()
    (tmp_path / "large.json").write_bytes(b" " * (JWKS_BYTES_MAX + 1))
    with pytest.raises(KeySourceAway, match="larger"):
        await FileKeySource(tmp_path / "large.json").fetch()


@pytest.mark.parametrize(
    "url", ["http://a.example/jwks", "file:///etc/passwd", "ftp://a", "https://", "", "https://u:p@a/"]
)
def test_only_https_addresses_are_taken(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        HttpsKeySource(url)


class Provider(http.server.BaseHTTPRequestHandler):
    """A real https server on the loopback that behaves as its path says."""

    release = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/jwks")
            self.end_headers()
            return
        if self.path == "/slow":
            self.release.wait(5)
            return
        status = 200 if self.path in ("/jwks", "/large") else 404
        body = b" " * (JWKS_BYTES_MAX + 100) if self.path == "/large" else DOCUMENT
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (named so by the base class)
        pass


class ProviderServer(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that refuses our certificate is meant; nothing is to be printed."""


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[tuple[str, ssl.SSLContext]]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(path)
    server = ProviderServer(("127.0.0.1", 0), Provider)
    server.socket = server_context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    client_context = ssl.create_default_context(cadata=certificate.public_bytes(serialization.Encoding.PEM).decode())
    yield f"https://localhost:{server.server_port}", client_context
    Provider.release.set()
    server.shutdown()
    server.server_close()
    thread.join(5)
    Provider.release.clear()


async def test_keys_are_fetched_over_https(provider: tuple[str, ssl.SSLContext]) -> None:
    address, context = provider
    assert await HttpsKeySource(f"{address}/jwks", ssl_context=context).fetch() == DOCUMENT


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/redirect", "302"), ("/missing", "404"), ("/large", "larger"), ("/slow", "cannot be fetched")],
)
async def test_an_address_that_does_not_give_keys_is_a_fault(
    provider: tuple[str, ssl.SSLContext], path: str, reason: str
) -> None:
    address, context = provider
    with pytest.raises(KeySourceAway, match=reason):
        await HttpsKeySource(f"{address}{path}", timeout_seconds=0.5, ssl_context=context).fetch()


async def test_an_address_with_an_unknown_certificate_is_a_fault(provider: tuple[str, ssl.SSLContext]) -> None:
    with pytest.raises(KeySourceAway, match=r"(?i)certificate"):
        await HttpsKeySource(f"{provider[0]}/jwks").fetch()


async def test_an_address_where_nobody_listens_is_a_fault() -> None:
    with pytest.raises(KeySourceAway, match="cannot be fetched"):
        await HttpsKeySource("https://127.0.0.1:1/jwks", timeout_seconds=0.5).fetch()
