"""Where a webhook may be posted to: a public address, asked for anew each time a connection is made."""

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from review_queue.errors import Invalid

LONGEST = 2000
NAT64 = IPv6Network("64:ff9b::/96")
"""IPv6 addresses that stand for the IPv4 address in their last 32 bits (RFC 6052)."""
UNICAST = IPv6Network("2000::/3")
PROTOCOLS = IPv4Network("192.0.0.0/24")
"""Among them an address under which a cloud tells its secrets."""
TEREDO = IPv6Network("2001::/32")


class Inside(Invalid):
    """The address is not a public one."""


def check_url(url: str, *, private: bool) -> SplitResult:
    """The parts of a URL that events may be posted to. Raises Invalid."""
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        named = False
    if not named or len(url) > LONGEST or not url.isascii() or not url.isprintable() or " " in url:
        raise Invalid(
            f"{url[:200]!r} is no address; write e.g. https://example.com/signoff, in ASCII, below {LONGEST} characters"
        )
    if parts.scheme not in (("https", "http") if private else ("https",)):
        raise Invalid(f"{shown(url)}: events go over https alone, unless SIGNOFF_WEBHOOKS_PRIVATE=1 allows http as well")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise Invalid(f"{parts.hostname}: leave names, passwords and #fragments out of the address; the signature says who sends")
    return parts


def shown(url: str) -> str:
    """What may be told of an address: receivers such as those of chats keep their secret in the path."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" + ("/…" if parts.path.strip("/") or parts.query else "")


def lookup(host: str, port: int, *, private: bool) -> list[str]:
    """The addresses of a host, all of them public unless `private`. Raises Inside, and Invalid where there is none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Invalid(f"no address is known for {host}") from error
    addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    inside = [address for address in addresses if not is_public(address)]
    if inside and not private:
        raise Inside(f"{host} is {inside[0]}, which is not a public address; SIGNOFF_WEBHOOKS_PRIVATE=1 allows such")
    return addresses


def is_public(address: str) -> bool:
    """Whether an IP address, or the one that it stands for, is one of the open internet."""
    meant = _meant(ip_address(address))
    if isinstance(meant, IPv4Address):
        return meant.is_global and not meant.is_multicast and not meant.is_reserved and meant not in PROTOCOLS
    return meant.is_global and meant in UNICAST and meant not in TEREDO


def _meant(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else inner or address
