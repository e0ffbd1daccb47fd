"""What every guard does: hold back what would break the vendor's limits per number.

The vendor counts a call when its request arrives; we only know when it left and when the reply
came. So a number is locked while a request to it is in flight, and its windows start when the
reply arrives or the request is given up. Then no delay on the way can bring two arrivals closer
together than the limit allows.
"""

from typing import NamedTuple, Protocol


class Lease(NamedTuple):
    """A reservation: the number stays locked until the lease is committed, released or taught.

    Attributes:
        account: Whose call it is.
        mobile: The number.
        key: How the guard that gave the lease finds it again.
    """

    account: str
    mobile: str
    key: int | str = ""


class Wait(NamedTuple):
    """Held back.

    Attributes:
        seconds: How long until `reserve` is worth trying again; None while a call to the number
            is in flight, and then `freed` tells when it has ended.
    """

    seconds: float | None


class Guard(Protocol):
    """Per (account, number): reserve, then exactly one of commit, release and teach."""

    async def reserve(self, account: str, mobile: str) -> Lease | Wait:
        """Lock the number for one call, or say how long it is closed."""
        ...

    async def commit(self, lease: Lease) -> None:
        """End the lease of a call that was accepted, or may have been: its windows start now."""
        ...

    async def release(self, lease: Lease) -> None:
        """End the lease of a call that was surely not sent, or that the vendor did not count."""
        ...

    async def teach(self, lease: Lease, code: int) -> None:
        """End the lease of a call that the vendor refused with a rate code (4080, 4081, 4082 …).

        Others used the number too, at times unknown to us, so it is closed for the whole length
        of that window from now on.
        """
        ...

    async def freed(self, account: str, mobile: str) -> None:
        """Return once no call to the number is in flight, at once if none is."""
        ...
