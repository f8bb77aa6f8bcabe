"""Where webhooks may go: no way of writing an address inside gets through."""

import socket
from typing import Any

import pytest

from review_queue.addresses import Inside, check_url, is_public, lookup, shown
from review_queue.errors import Invalid

INSIDE = [
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.9.9.9", "169.254.169.254", "172.16.0.1",
    "192.0.0.192", "192.0.2.1", "192.168.1.1", "198.18.0.1", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "::", "::1", "::ffff:10.0.0.1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::1", "2001::1",
    "2001:db8::1", "2002:7f00:1::", "2002:a00:1::", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "93.184.215.14", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2606:4700:4700::1111", "2a00:1450:4001::1"]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_open_internet_is(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f000001", "017700000001", "127.1", "0", "localhost", "::1"])
def test_however_this_machine_is_written(host: str) -> None:
    with pytest.raises(Inside, match="SIGNOFF_WEBHOOKS_PRIVATE"):
        lookup(host, 443, private=False)
    assert lookup(host, 443, private=True)


def test_one_address_inside_among_others_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", answers)
    with pytest.raises(Inside, match=r"10\.0\.0\.1"):
        lookup("sly.example", 443, private=False)


def test_a_name_without_an_address() -> None:
    with pytest.raises(Invalid, match="no address is known"):
        lookup("nobody.invalid", 443, private=False)
    with pytest.raises(Invalid, match="no address is known"):
        lookup("a" * 80 + ".example", 443, private=False)


BAD = ["", "example.com", "https://", "https:///x", "ftp://example.com", "file:///etc/passwd", "https://a.example:99999/",
       "https://[::1", "https://exa mple.com", "https://example.com/\nx", "https://exämple.com/",
       "https://example.com/" + "a" * 2000, "https://a.example:0"]  # fmt: skip


@pytest.mark.parametrize("url", BAD)
@pytest.mark.parametrize("private", [False, True])
def test_what_is_no_address_is_refused(url: str, private: bool) -> None:
    with pytest.raises(Invalid):
        check_url(url, private=private)


def test_plain_http_and_credentials_are_refused() -> None:
    assert check_url("https://example.com:8443/a?b=c", private=False).port == 8443
    with pytest.raises(Invalid, match="https alone"):
        check_url("http://example.com/", private=False)
    assert check_url("http://example.com/", private=True).hostname == "example.com"
    for url in ("https://ann:secret@example.com/", "https://ann@example.com", "https://example.com/#part"):
        with pytest.raises(Invalid, match="signature") as told:
            check_url(url, private=False)
        assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://chat.example/hooks/T1/secret", "https://chat.example/…"),
        ("https://chat.example:8443/?key=secret", "https://chat.example:8443/…"),
        ("https://chat.example?key=secret", "https://chat.example/…"),
        ("https://ann:secret@chat.example/", "https://chat.example"),
        ("https://chat.example", "https://chat.example"),
    ],
)
def test_nothing_is_told_that_may_be_a_secret(url: str, told: str) -> None:
    assert shown(url) == told


def test_an_address_that_is_not_taken_any_more_is_told_without_its_path() -> None:
    with pytest.raises(Invalid, match="https alone") as caught:
        check_url("http://chat.example/hooks/secret", private=False)
    assert "secret" not in str(caught.value)
