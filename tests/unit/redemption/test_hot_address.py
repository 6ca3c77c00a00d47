"""Reading the hot store's URL."""

import pytest

from redemption.hot.address import Address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://localhost", Address(host="localhost")),
        ("valkey://10.0.0.7:7000/5", Address(host="10.0.0.7", port=7000, database=5)),
        ("rediss://u:p@h:1", Address(host="h", port=1, tls=True, username="u", password="p")),
        ("valkeys://h?ssl_ca_certs=/ca.pem&db=2", Address(host="h", tls=True, ca_file="/ca.pem", database=2)),
        ("redis://:p%40%2F%23@[::1]:6380", Address(host="::1", port=6380, password="p@/#")),
        ("unix:///run/v.sock?db=4", Address(socket_path="/run/v.sock", database=4)),
        ("unix://u:p@/run/v.sock", Address(socket_path="/run/v.sock", username="u", password="p")),
    ],
)
def test_every_form_of_address_is_read(url: str, address: Address) -> None:
    assert Address.from_url(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "http://h",
        "localhost:6379",
        "redis://",
        "redis://h:99999",
        "redis://:secret/word@h:6379/0",
        "redis://:secret#word@h",
        "redis://secret@h",
        "redis://:secret@h/one",
        "redis://:secret@h/٣",
        "redis://:secret@h/1?db=2",
        "redis://:secret@h?protocol=3",
        "unix://:secret@h/path",
        "unix://:secret@",
        "redis://:secret@[::1",
    ],
)
def test_a_wrong_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"hot store|socket|database") as refused:
        Address.from_url(url)
    assert "secret" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_the_password_is_in_no_text_of_an_address() -> None:
    address = Address.from_url("redis://u:secret@h:7/1")
    assert "secret" not in f"{address} {address!r}"
    assert str(address) == "h:7"
