"""Where a webhook may go, how it is signed, and when it is tried again."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.errors import ConfigurationError, InvalidInputError
from server.domain.partners import (
    LAST_RETRY_S,
    LONGEST_WAIT_S,
    may_reach,
    networks,
    refuse_unfit_url,
    retry_in_s,
    signature,
)

INSIDE = (
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",  # noqa: S104
    "198.18.0.1", "192.0.2.1", "224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1", "::", "::1", "fe80::1",
    "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1",
    "2002:7f00:1::", "2001:db8::1", "::127.0.0.1", "not an address", "", "8.8.8.8.8", "0x7f000001", "017700000001",
)  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_no_webhook_reaches_an_inner_special_or_wrapped_address(address: str) -> None:
    assert not may_reach(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "223.5.5.5", "2400:3200::1"])
def test_a_webhook_reaches_public_addresses(address: str) -> None:
    assert may_reach(address)


@given(st.ip_addresses())
def test_an_address_is_reached_only_if_it_is_public_or_allowed(ip: IPv4Address | IPv6Address) -> None:
    assert may_reach(str(ip)) <= ip.is_global
    assert may_reach(str(ip), [ip_network(ip)])


def test_a_private_network_is_reached_only_if_settings_name_it() -> None:
    allowed = networks(["10.20.0.0/16"])
    assert may_reach("10.20.3.4", allowed)
    assert not may_reach("10.21.3.4", allowed)
    assert not may_reach("::ffff:10.20.3.4", allowed)
    with pytest.raises(ConfigurationError):
        networks(["10.20.0.1/16"])


@pytest.mark.parametrize(
    "url",
    ["http://a.example/x", "ftp://a.example/x", "file:///etc/passwd", "https://", "https:///x", "a.example/x", "",
     "https://u:p@a.example/", "https://a.example/#x", "https://a.example:0/", "https://a.example:99999/", "https://[::1/",
     "https://a.example/\r\nX: y", "https://a.example/ x", "https://a.ex\u00e4mple/", f"https://a.example/{'x' * 500}",
     "gopher://a.example/", "javascript:alert(1)"],
)  # fmt: skip
def test_a_url_that_is_not_plainly_https_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError):
        refuse_unfit_url(url, may_be_plain=False)


def test_plain_http_is_for_the_sandbox() -> None:
    refuse_unfit_url("https://a.example:8443/hook?x=1", may_be_plain=False)
    refuse_unfit_url("http://127.0.0.1:9/hook", may_be_plain=True)


@given(st.text())
def test_no_text_without_https_passes_and_none_breaks_the_check(text: str) -> None:
    with contextlib.suppress(InvalidInputError):
        refuse_unfit_url(text, may_be_plain=False)
        assert text.lower().startswith("https://")


def test_a_signature_is_what_the_standard_webhooks_specification_gives() -> None:
    # The example of https://github.com/standard-webhooks/standard-webhooks (spec, "Signature scheme").
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signed = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.binary(min_size=1, max_size=64), st.binary(max_size=200), st.integers(0, 2**40))
def test_a_signature_covers_name_time_and_body(key: bytes, body: bytes, at_s: int) -> None:
    secret = f"whsec_{base64.b64encode(key).decode()}"
    expected = hmac.new(key, f"p/1.{at_s}.".encode() + body, hashlib.sha256).digest()
    assert signature(secret, "p/1", at_s, body) == f"v1,{base64.b64encode(expected).decode()}"


@given(st.integers(1, 10**6), st.none() | st.floats(0, 10**9), st.floats(0, 1))
def test_waits_are_bounded_and_follow_the_server(attempt: int, wished: float | None, jitter: float) -> None:
    wait = retry_in_s(attempt, wished, jitter)
    assert 0.5 <= wait <= max(LAST_RETRY_S, LONGEST_WAIT_S)
    assert wait >= min(wished or 0.0, LONGEST_WAIT_S)
