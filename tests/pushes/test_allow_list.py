"""Who may push: by the address of whoever sends, and of nobody who merely claims it."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice import InvalidRequest
from ihuyi_voice.pushes.allow_list import AllowList, Headers, NetworkLike, networks

VENDOR = "203.0.113.7"
STRANGER = "198.51.100.9"
NEAR, FAR = "10.0.0.1", "10.0.0.2"  # our proxies


def forwarded(*values: str) -> list[tuple[bytes, bytes]]:
    """Return headers of a request that came through proxies."""
    return [(b"host", b"x"), *((b"x-forwarded-for", value.encode("latin-1")) for value in values)]


def admits(
    peer: str | None, headers: Headers = (), *, allow: NetworkLike = VENDOR, behind: str = ""
) -> bool:
    """Say whether a list of one network admits a request, behind proxies or not."""
    proxies = [behind] if behind else []
    return AllowList(networks([allow], "allow"), networks(proxies, "proxies")).admits(peer, headers)


@pytest.mark.parametrize(
    ("allow", "peer"),
    [
        (VENDOR, VENDOR),
        ("203.0.113.0/24", VENDOR),
        (ip_address(VENDOR), VENDOR),
        (ip_network("203.0.113.0/24"), VENDOR),
        (VENDOR, f"::ffff:{VENDOR}"),
        (f"::ffff:{VENDOR}", VENDOR),
        ("::ffff:203.0.113.0/120", f"::ffff:{VENDOR}"),
        ("2001:db8::/32", "2001:db8::1"),
        ("2001:db8::1", "2001:DB8:0::1"),
        ("fe80::/10", "fe80::1%eth0"),
    ],
)
def test_who_is_in_an_allowed_network_may_push(allow: NetworkLike, peer: str) -> None:
    """However the network and the address are written, IPv4 on a socket of IPv6 included."""
    assert admits(peer, allow=allow)


@pytest.mark.parametrize(
    ("allow", "peer"),
    [
        (VENDOR, STRANGER),
        ("203.0.113.0/24", "203.0.114.7"),
        ("2001:db8::/32", "2001:db9::1"),
        ("::/0", VENDOR),
        ("0.0.0.0/0", "2001:db8::1"),
        ("::ffff:203.0.113.0/120", STRANGER),
        (VENDOR, "::203.0.113.7"),
        (VENDOR, None),
        (VENDOR, ""),
        (VENDOR, "unix:"),
        (VENDOR, "testclient"),
        (VENDOR, "203.0.113.07"),
    ],
)
def test_who_is_in_none_may_not(allow: NetworkLike, peer: str | None) -> None:
    """Nor who has no address, such as the other end of a Unix socket."""
    assert not admits(peer, allow=allow)


@pytest.mark.parametrize("peer", [VENDOR, None, "rubbish"])
def test_without_a_list_everybody_may_push(peer: str | None) -> None:
    """The vendor doesn't publish its addresses."""
    assert AllowList(None).admits(peer, forwarded("rubbish"))


def test_a_stranger_is_not_believed_about_the_sender() -> None:
    """X-Forwarded-For is anybody's to write."""
    assert not admits(STRANGER, forwarded(VENDOR))
    assert not admits(STRANGER, forwarded(VENDOR), behind=NEAR)
    assert admits(VENDOR, forwarded(STRANGER), behind=NEAR)


@pytest.mark.parametrize(
    "headers",
    [
        forwarded(VENDOR),
        forwarded(f"{VENDOR}, {FAR}"),
        forwarded(f" {VENDOR} ,{FAR} "),
        forwarded(VENDOR, FAR),
        forwarded(f"{STRANGER}, {VENDOR}, {FAR}"),
        forwarded(f"rubbish, {VENDOR}"),
        forwarded(f"::ffff:{VENDOR}, ::ffff:{FAR}"),
        forwarded(f"{VENDOR}:5678, {FAR}:80"),
        forwarded(f"[::ffff:{VENDOR}]:80"),
        forwarded(f"[::ffff:{VENDOR}]"),
    ],
)
def test_the_sender_is_whom_the_proxies_name(headers: Headers) -> None:
    """The nearest address that is no proxy of ours; some load balancers add a port to it."""
    assert admits(NEAR, headers, behind="10.0.0.0/8")
    assert admits(f"::ffff:{NEAR}", headers, behind="10.0.0.0/8")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        forwarded(""),
        forwarded(FAR),
        forwarded(f"{VENDOR}, {STRANGER}"),
        forwarded(f"{VENDOR}, {STRANGER}, {FAR}"),
        forwarded(VENDOR, STRANGER),
        forwarded(f"{VENDOR}, unknown"),
        forwarded(f"{VENDOR},"),
        forwarded(f"{VENDOR}, , {FAR}"),
        forwarded(f"{VENDOR} {FAR}"),
        forwarded(f"{VENDOR}:port"),
        forwarded(f"{VENDOR}:123456"),
        forwarded(f"[{VENDOR}"),
        forwarded("[]:80"),
        forwarded("::ffff:203.0.113.7:80"),
        forwarded("\xb2\xff"),
        [(b"x-real-ip", VENDOR.encode())],
        [(b"forwarded", f"for={VENDOR}".encode())],
    ],
)
def test_whom_the_proxies_do_not_name_clearly_is_refused(headers: Headers) -> None:
    """A gap in the chain is never skipped, for what stands before it is anybody's to write."""
    assert not admits(NEAR, headers, behind="10.0.0.0/8")


def test_a_proxy_by_itself_is_no_sender() -> None:
    """Even where proxies are allowed: it may just have left out whom it speaks for."""
    for headers in ([], forwarded(FAR)):
        assert not admits(NEAR, headers, allow="10.0.0.0/8", behind="10.0.0.0/8")


@given(
    st.lists(st.sampled_from([VENDOR, STRANGER, NEAR, FAR, "", "rubbish", "[::1]:80"]), max_size=6)
)
def test_what_a_stranger_writes_changes_nothing(claims: list[str]) -> None:
    """Directly or through proxies, which append where the request really came from."""
    for headers, peer in (
        (forwarded(", ".join(claims)), STRANGER),
        (forwarded(", ".join([*claims, STRANGER])), NEAR),
        (forwarded(*claims, STRANGER, FAR), NEAR),
    ):
        assert not admits(peer, headers, behind="10.0.0.0/8")


@pytest.mark.parametrize(
    "given", ["10.0.0.0/8", b"10.0.0.1", ["10.0.0.1/8"], ["example.com"], ["10.0.0.0/33"], [""]]
)
@pytest.mark.parametrize("name", ["allow", "trusted_proxies"])
def test_what_is_no_list_of_networks_is_refused(given: Any, name: str) -> None:
    """With the name of the argument: one string, host bits beside a mask, names of hosts."""
    with pytest.raises(InvalidRequest, match=name) as caught:
        networks(given, name)
    assert caught.value.field == name


def test_a_list_that_nobody_is_on_is_refused() -> None:
    """It is a setting that was forgotten, and every push would be lost."""
    with pytest.raises(InvalidRequest, match="empty") as caught:
        AllowList(networks([], "allow"))
    assert caught.value.field == "allow"
