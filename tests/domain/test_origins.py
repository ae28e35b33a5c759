"""Where a request came from: only trusted proxies are believed, and nobody gains by having many addresses."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.origins import counted, origin_of

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "origin"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),  # a stranger says whatever it likes
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.7", "198.51.100.7"),  # the first one was there before the proxy
        ("10.0.0.1", "6.6.6.6, 198.51.100.7, 10.9.9.9", "198.51.100.7"),
        ("fd00::1", "2001:db8::5", "2001:db8::5"),
        ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", " , ,", "10.0.0.1"),
        ("", "198.51.100.7", ""),
    ],
)
def test_the_origin_is_the_nearest_address_that_is_no_proxy(peer: str, forwarded: str, origin: str):
    assert origin_of(peer, forwarded, PROXIES) == origin


@given(st.text(max_size=60))
def test_without_proxies_no_header_changes_the_origin(forwarded: str):
    assert origin_of("192.0.2.1", forwarded, ()) == "192.0.2.1"


@given(st.integers(0, 2**64 - 1))
def test_all_addresses_of_one_ipv6_network_are_counted_as_one(host: int):
    network = int(ip_network("2001:db8:1:2::/64").network_address)
    assert counted(str(type(ip_network("::/64").network_address)(network + host))) == "2001:db8:1:2::/64"


@given(st.text(max_size=30))
def test_whatever_the_address_is_it_can_be_counted(text: str):
    assert counted(counted(text)) == counted(text)
