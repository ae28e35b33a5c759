"""Where a request came from: the address that counts when failures are counted.

Behind a proxy every request has the proxy's address; believing any X-Forwarded-For lets everybody choose one's own. So
only what trusted proxies have appended is believed. And who has one IPv6 address has its whole /64.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


def origin_of(peer: str, forwarded_for: str, proxies: Sequence[Network]) -> str:
    """The nearest address that is not one of our proxies, from the connection's peer back through X-Forwarded-For.

    >>> origin_of("10.0.0.1", "6.6.6.6, 192.0.2.10", [ip_network("10.0.0.0/8")])
    '192.0.2.10'
    >>> origin_of("192.0.2.10", "127.0.0.1", [ip_network("10.0.0.0/8")])
    '192.0.2.10'
    """
    origin = peer
    for hop in reversed([part.strip() for part in forwarded_for.split(",") if part.strip()]):
        if not _is_one_of(origin, proxies) or _address(hop) is None:
            return origin
        origin = hop
    return origin


def counted(origin: str) -> str:
    """What failures of an origin are counted under.

    >>> counted("2001:db8:1:2:3::4"), counted("::ffff:192.0.2.10"), counted("192.0.2.10")
    ('2001:db8:1:2::/64', '192.0.2.10', '192.0.2.10')
    """
    address = _address(origin)
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address or origin)


def neighbourhood(origin: str) -> str:
    """The network that requests of an origin are counted under where one person may have many addresses: /24 and /64.

    >>> neighbourhood("192.0.2.10"), neighbourhood("2001:db8:1:2:3::4")
    ('192.0.2.0/24', '2001:db8:1:2::/64')
    """
    address = _address(origin)
    if address is None:
        return origin
    return str(ip_network((address, 24 if isinstance(address, IPv4Address) else 64), strict=False))


def _is_one_of(origin: str, proxies: Sequence[Network]) -> bool:
    address = _address(origin)
    return address is not None and any(address in network for network in proxies)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
