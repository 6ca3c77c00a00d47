"""The decoders that face what others send, as targets of tests/support/fuzzing/fuzzing.py.

A decoder has one target, or shares its inputs among several: bodies have one for each type of request.

Behind a signature nothing is believed, so mutated text alone stops at it; the targets of signed things therefore also
sign what was mutated, with the right key, and the decoder behind is met too.
"""

import base64
import datetime
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from gateway.auth.authentication import bearer
from gateway.auth.signatures import SignatureRefused, verify_signature
from gateway.http.body import decode
from gateway.problems.documents import Problem
from gateway.server.routes import OPERATIONS
from redemption.credentials import SignatureKey
from redemption.ledger.entries import (
    TRANSACTION_COLUMNS,
    Malformed,
    Position,
    decode_entry,
    transaction_row,
)
from redemption.settlement.business_days import OutletDay
from redemption.settlement.reconciliation import compare, item_document
from redemption.settlement.till_lists.reading import TillList, TillListRefused, read_csv, read_json
from redemption.settlement.till_lists.terms import ListTerms
from redemption.settlement.till_lists.text import CODECS
from tests.support.api.signing import Signer
from tests.support.fuzzing.fuzzing import Refusal, Target
from tests.support.ledger.ledger import redeem_fields, rows_of
from tokens import api_keys, base64url
from tokens.claims import CodeClaim, Refused, slot_at
from tokens.codec import CodeIssuer, CodeReader
from tokens.digits import check_digit
from tokens.keyring import KeyRing
from tokens.offline import step_at, write_offline

NOW = 1_795_350_000.0
ZONE = ZoneInfo("Asia/Shanghai")
TERMS = ListTerms(
    "CNY",
    frozenset({"out_mall_1", "out_mall_2"}),
    datetime.date(2026, 11, 22),
    ZONE,
    {"out_mall_2": OutletDay(ZoneInfo("Asia/Tokyo"), 4)},
)
KEY_ID = "Ab3dE5gH7jK9"
SECRET = hashlib.sha256(b"a till's secret").digest()


def _text(data: bytes) -> str:
    """Any text at all, with lone surrogates where the bytes are no UTF-8."""
    return data.decode("utf-8", "surrogateescape")


def codes() -> list[Target]:
    """Codes of all forms as they are scanned, and each form with its signature, tag or check digit made to fit."""
    ring = KeyRing.create("dev", "HS256").rotate("EdDSA", 0, 0).rotate("HS256", 0, 0)
    reader = CodeReader(ring, {7})
    corpus: list[bytes] = []
    for algorithm in ("HS256", "EdDSA"):
        issuer = CodeIssuer(ring, algorithm, lambda: NOW)
        made = [issuer.issue(number, slot_at(NOW - age)) for number, age in ((1, 0), (99_999_999, 3_000))]
        corpus += [each.code.encode() for each in made] + [made[0].digits.encode(), f" {made[1].digits}\r\n".encode()]
    kid = issuer.current_kid
    device = issuer.enrol(12, 7, kid)
    corpus.append(write_offline(device.code_prefix, device.secret, step_at(NOW)).encode())

    def read(text: str) -> None:
        found = reader.read(text, NOW)
        assert isinstance(found, CodeClaim | Refused)
        if isinstance(found, Refused):
            raise Refusal

    signing = next(key for key in ring.keys if key.algorithm == "HS256")
    header = base64url.encode(f'{{"alg":"HS256","kid":"{signing.kid}"}}'.encode())

    def signed_claims(claims: bytes) -> None:
        signed = f"{header}.{base64url.encode(claims)}"
        signature = base64url.encode(hmac.digest(signing.secret, signed.encode(), "sha256"))
        read(f"{signed}.{signature}")

    def tagged(rest: bytes) -> None:
        message = device.code_prefix.encode() + rest[:400]
        tag = hmac.digest(device.secret, message, "sha256")[:16]
        read(f"{_text(message)}.{base64url.encode(tag)}")

    def checked_digits(data: bytes) -> None:
        body = "9" + bytes(byte for byte in data if 48 <= byte <= 57)[:16].decode().zfill(16)
        read(f"{body}{check_digit(body)}")

    claims = b'{"sub":"42","exp":%d,"jti":"abcdefgh"}' % (int(NOW) + 30)
    genuine = [corpus[at].strip()[1:-1] for at in (2, 3)]
    return [
        Target("codes", corpus, lambda data: read(_text(data))),
        Target("codes, claims signed", [claims], signed_claims),
        Target("codes of devices, tagged", [str(step_at(NOW)).encode()], tagged),
        Target("codes of digits, checked", genuine, checked_digits),
    ]


def bodies() -> list[Target]:
    """The body of every call that has one. What is taken has one canonical encoding, which is taken as the same."""
    examples: dict[type, list[bytes]] = {}
    for call in OPERATIONS:
        if call.request is not None:
            shown = [json.dumps(value).encode() for value in call.request_examples.values()]
            examples.setdefault(call.request, []).extend(shown)

    def decoding(decoder: msgspec.json.Decoder[Any]) -> Callable[[bytes], None]:
        def body(data: bytes) -> None:
            try:
                value, canonical = decode(data, decoder)
            except Problem as problem:
                if problem.kind.code == "malformed" and problem.body("en"):
                    raise Refusal from None
                raise
            assert decode(canonical, decoder) == (value, canonical)

        return body

    return [
        Target(f"body, {shape.__name__}", corpus, decoding(msgspec.json.Decoder(shape)))
        for shape, corpus in examples.items()
    ]


def entries() -> Target:
    """Stream entries: the fields one after the other, with lengths that a mutation may move or make overlap."""

    def entry(data: bytes) -> None:
        fields: dict[bytes, bytes] = {}
        for part in data.split(b"\x1e"):
            name, _, value = part.partition(b"\x1f")
            fields[name] = value
        found = decode_entry(fields)
        if isinstance(found, Malformed):
            assert found.reason.isascii()
            raise Refusal
        assert len(rows_of(transaction_row(7, 1, Position(1, 1), found), TRANSACTION_COLUMNS)) == 1

    made = [
        b"\x1e".join(
            name.encode() + b"\x1f" + value.encode() for name, value in redeem_fields(7, f"rdm_{number}").items()
        )
        for number in range(4)
    ]
    return Target("stream entries", made, entry)


def till_lists() -> list[Target]:
    """Lists of tills: CSV in every charset, named and found out, in the forms that spreadsheets write; JSON."""
    codecs = sorted({codec for names in CODECS.values() for codec in names})
    texts = (
        "單號,抵扣金額,時間,門店\r\nT-1,12.50,18:30:05,out_mall_1\r\nT-2,-3,2026-11-22T10:30:05Z,out_mall_2\r\n",
        "reference;amount_minor;bill_amount_minor\nT-1;1250;9900\nT-2;-3;\n",
        "sep=;\r\n單號;金額(元);日期;時間\r\n'00123;¥1.250,00;2026/11/22;上午 9:05\r\n"
        '="7";(3,50);2026年11月22日;9:05 PM\r\n',
        '"a;b"\treference\tamount\ttime\nx\t2.02611E+11\t１２\t22/11/2026 9:05\ny\tT\t1,250\t46348.378472\n',
    )
    document = {"rows": [{"reference": "T-1", "amount": "12.50", "time": "18:30"}, {"reference": "T-2", "amount": "1"}]}
    plain = [
        {"reference": "T-1", "amount_minor": 1250, "currency": "CNY", "outlet": "out_mall_1", "date": "2026.11.22"}
    ]

    def told(found: object) -> None:
        if isinstance(found, TillListRefused):
            assert found.faults
            assert found.count >= len(found.faults)
            raise Refusal
        assert isinstance(found, TillList)
        for item in compare(found.rows, (), TERMS.day):
            item_document(item)  # what is taken can be kept and shown

    def as_csv(data: bytes) -> None:
        labels = [*codecs, None]
        told(read_csv(data[1:], TERMS, labels[data[0] % len(labels)] if data else None))

    corpus = [bytes((number,)) + text.encode(codec, "ignore") for number, codec in enumerate(codecs) for text in texts]
    corpus += [bytes((len(codecs),)) + text.encode(codec, "ignore") for codec in codecs for text in texts]
    return [
        Target("till lists, CSV", corpus, as_csv),
        Target(
            "till lists, JSON",
            [json.dumps(document).encode(), json.dumps(plain).encode()],
            lambda data: told(read_json(data, TERMS)),
        ),
    ]


def keys() -> Target:
    """The Authorization header and the API key in it."""
    corpus = [f"Bearer {api_keys.mint(kind, 'dev').text}".encode() for kind in api_keys.KeyKind]
    corpus.append(f"bearer  {api_keys.mint(api_keys.KeyKind.ADMIN, 'live').text}".encode())

    def header(data: bytes) -> None:
        try:
            found = api_keys.parse(bearer(_text(data)), "dev")
        except Problem as problem:
            if problem.kind.code == "unauthenticated":
                raise Refusal from None
            raise
        if isinstance(found, api_keys.ApiKeyRefused):
            raise Refusal
        api_keys.matches(found, bytes(32))

    return Target("API keys", corpus, header)


def signatures() -> list[Target]:
    """Signature-Input, Signature and Content-Digest of a signed request, mutated; and the same, signed anew."""
    signer = Signer(KEY_ID, secret=SECRET)
    key = SignatureKey("hmac-sha256", SECRET)
    body = b'{"code":"974229897691788465"}'
    corpus = []
    for target, sent in (("/v1/verify", body), ("/v1/redemptions?bill_reference=T-1", b"")):
        headers = signer.headers("POST", target, sent, "till-1", created=NOW)
        corpus.append(b"\n".join((target.encode(), sent, *(f"{n}: {v}".encode() for n, v in headers.items()))))

    def request(data: bytes) -> tuple[dict[str, Any], bytes]:
        target, _, rest = data.partition(b"\n")
        sent, _, lines = rest.partition(b"\n")
        path, _, query = target.partition(b"?")
        headers = [line.split(b": ", 1) for line in lines.split(b"\n") if b": " in line]
        scope = {
            "method": "POST",
            "path": path.decode("utf-8", "replace"),
            "raw_path": path,
            "query_string": query,
            "headers": [(name.lower(), value) for name, value in headers],
        }
        return scope, sent

    def verify(scope: dict[str, Any], sent: bytes) -> None:
        try:
            verify_signature(scope, sent, KEY_ID, key, lambda: NOW)
        except SignatureRefused:
            raise Refusal from None

    def parameters(data: bytes) -> None:
        """The parameters after the label, under a signature that fits them."""
        covered = {"@method": "POST", "@path": "/v1/cancel"}
        lines = [f'"{name}": {value}'.encode() for name, value in covered.items()]
        base = b"\n".join((*lines, b'"@signature-params": ' + data))
        signature = b"till=:" + base64.b64encode(hmac.digest(SECRET, base, "sha256")) + b":"
        scope = {
            "method": "POST",
            "path": "/v1/cancel",
            "raw_path": b"/v1/cancel",
            "query_string": b"",
            "headers": [(b"signature-input", b"till=" + data), (b"signature", signature)],
        }
        verify(scope, b"")

    fitting = f'("@method" "@path");created={int(NOW)};keyid="{KEY_ID}"'.encode()
    full = f'("@method" "@path");created={int(NOW)};expires={int(NOW) + 9};nonce="x";alg="hmac-sha256";keyid="{KEY_ID}"'
    return [
        Target("signature headers", corpus, lambda data: verify(*request(data))),
        Target("signature headers, signed anew", [fitting, full.encode()], parameters),
    ]


def decoders() -> dict[str, list[Target]]:
    """The targets of each decoder, which share its inputs."""
    own = [*codes(), entries(), keys()]
    shared = {"bodies": bodies(), "till lists": till_lists(), "signature headers": signatures()}
    return {target.name: [target] for target in own} | shared
