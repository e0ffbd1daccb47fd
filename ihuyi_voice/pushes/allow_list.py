"""Who may push: an allow list of networks, and the proxies whose word about a sender is taken."""

import re
from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, TypeAlias

import attrs

from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.inputs import check_acts

Network: TypeAlias = IPv4Network | IPv6Network
NetworkLike: TypeAlias = str | IPv4Address | IPv6Address | Network
Headers: TypeAlias = Iterable[tuple[bytes, bytes]]

_WITH_PORT: Final = re.compile(r"([0-9.]+):[0-9]{1,5}|\[([^\]]*)\](?::[0-9]{1,5})?", re.ASCII)
_MAPPED: Final = IPv6Network("::ffff:0:0/96")  # IPv4 on a socket of IPv6


def networks(given: Iterable[NetworkLike], name: str) -> tuple[Network, ...]:
    """Return networks as they were named; a single address is a network of one.

    Raises:
        InvalidRequest: One of them is no network.
    """
    check_acts(name, given, ("__iter__",), "a list of networks")
    if isinstance(given, str | bytes):
        raise InvalidRequest(f"{name} must be a list of networks", field=name)
    try:
        return tuple(_unmapped(_network(each)) for each in given)
    except ValueError as exc:
        raise InvalidRequest(f"{name}: {exc}", field=name) from exc


def _network(given: object) -> Network:
    # A number and bytes would be an address, of all things that they may have been meant as.
    if isinstance(given, int | bytes):
        raise ValueError(f"{given!r:.40} is no network")  # noqa: TRY004 - told as an InvalidRequest
    return ip_network(given)  # type: ignore[arg-type]  # it says what is wrong with others


def _unmapped(network: Network) -> Network:
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        first = int(network.network_address) - int(_MAPPED.network_address)
        return IPv4Network((first, network.prefixlen - _MAPPED.prefixlen))
    return network


def _not_empty(_: object, __: object, allowed: tuple[Network, ...] | None) -> None:
    # More likely a setting that was forgotten than one that turns everybody away.
    if allowed == ():
        raise InvalidRequest("allow is empty: leave it out to allow everybody", field="allow")


@attrs.frozen
class AllowList:
    """Decides by address.

    Attributes:
        allowed: The networks that may push; None for everybody.
        proxies: The networks whose X-Forwarded-For is believed.

    Raises:
        InvalidRequest: Nobody would be allowed.
    """

    allowed: tuple[Network, ...] | None = attrs.field(validator=_not_empty)
    proxies: tuple[Network, ...] = ()

    def admits(self, peer: str | None, headers: Headers) -> bool:
        """Say whether a request may pass.

        Args:
            peer: The address at the other end of the connection; None if it has none.
            headers: The request's; names in lower case.
        """
        if self.allowed is None:
            return True
        sender = self._sender(peer, headers)
        return sender is not None and _within(sender, self.allowed)

    def _sender(self, peer: str | None, headers: Headers) -> IPv4Address | IPv6Address | None:
        """The address nearest to us that is no proxy; None if it is unclear, or there is none."""
        forwarded = b",".join(value for name, value in headers if name == b"x-forwarded-for")
        hops = forwarded.decode("latin-1").split(",") if forwarded else []
        for hop in (peer or "", *reversed(hops)):
            address = _address(hop)
            if address is None or not _within(address, self.proxies):
                return address
        return None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    text = text.strip()
    with_port = _WITH_PORT.fullmatch(text)  # as some load balancers write it
    try:
        address = ip_address(text if with_port is None else with_port[1] or with_port[2])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _within(address: IPv4Address | IPv6Address, among: Iterable[Network]) -> bool:
    return any(address in network for network in among)
