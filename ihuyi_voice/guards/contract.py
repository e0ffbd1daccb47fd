"""What every guard does: hold back what would break the vendor's limits per number.

The vendor counts a call when its request arrives; we only know when it left and when the reply
came. So a number is locked while a request to it is in flight, and its windows start when the
reply arrives or the request is given up. Then no delay on the way can bring two arrivals closer
together than the limit allows. (One case is left: a request that was given up before it arrived
may still arrive after its window began. Nobody here can see that; the vendor's 408x then blocks.)

Who waits, looks again: a guard wakes nobody. Within one process the callers stand in line before it
(`calls.lines`), so a guard need not be fair.

A guard is somebody else's code: what it raises before anything was sent is `GuardUnavailable`, and
what it raises afterwards is logged and changes no answer. Each of its methods is finished even if
whoever waits for it is cancelled.

A guard that forgets with its process may have two plain methods more, as `MemoryGuard` has them:
`remembers(account, mobile)` and `restore(account, mobile, ages)`. Then a client with a ledger tells
it of a number's calls of the last 24 hours before its first reserve.
"""

from typing import Final, Protocol

import attrs

from ihuyi_voice.common.foreign import shown
from ihuyi_voice.common.options import acts, uncallable
from ihuyi_voice.common.redaction import mask_mobile
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.guards.limits import DAY, MINUTE, SECOND, Limits

PASSES_ON: Final = "as its guard"
"""What a class of guards says by `never_suspends` that only passes on to its attribute `guard`."""
_REASONS: Final[dict[float | None, str]] = {
    None: "a call to it in flight",
    SECOND: "its second",
    MINUTE: "its minute",
    DAY: "its day",
}


@attrs.define(eq=False, repr=False)  # not frozen: one is made for each call, and that costs more
class Lease:
    """A reservation: the number stays locked until the lease is committed, released or blocked.

    A guard whose leases lapse may give its own class of leases a method `lapsed() -> bool`. It is
    asked when the request is about to go out, and if it says yes, nothing is sent.

    Attributes:
        account: Whose call it is.
        mobile: The number.
    """

    account: str
    mobile: str

    def __repr__(self) -> str:
        return f"Lease({self.account!r}, {mask_mobile(self.mobile)!r})"


@attrs.frozen
class Wait:
    """Held back.

    Attributes:
        seconds: How long until `reserve` is worth trying again; always a number, also while a
            call to the number is in flight.
        window: Which limit holds it back, by its length in seconds: 1, 60 or 86,400 for the
            vendor's; None while a call is in flight. Two waits of the same `seconds` are equal.
        whole_account: Whether the account may call nobody yet, whatever the number: the number is
            held by nobody meanwhile.
        reason: What is waited for, in a few English words, where the window doesn't tell it.
    """

    seconds: float
    window: float | None = attrs.field(default=None, eq=False)
    whole_account: bool = attrs.field(default=False, eq=False)
    reason: str = attrs.field(default="", eq=False)

    @property
    def waits_for(self) -> str:
        """What is waited for, in a few words: "quiet hours until 08:00", "its minute"."""
        if self.reason:
            return self.reason
        if self.whole_account:
            return "the account's rate"
        return _REASONS.get(self.window) or f"its {float(self.window or 0):g} s"


class Guard(Protocol):
    """Per (account, number): reserve, then exactly one of commit, release and block.

    A guard whose methods never suspend may say so by an attribute of its class, `never_suspends =
    True`, which subclasses don't inherit; its calls then cost no task. One that only passes on to
    another, its attribute `guard`, says `PASSES_ON`: then it is as that one is.
    """

    async def reserve(self, account: str, mobile: str) -> Lease | Wait:
        """Lock the number for one call, or say how long it is closed."""
        ...

    async def commit(self, lease: Lease) -> None:
        """End the lease of a call that was accepted, or may have been: its windows start now."""
        ...

    async def release(self, lease: Lease) -> None:
        """End the lease of a call that was surely not sent, or that the vendor did not count."""
        ...

    async def block(self, lease: Lease, seconds: float) -> None:
        """End the lease of a call that the vendor refused with a rate code (4080, 4081, 4082 …).

        Others used the number too, at times unknown to us: the last may have been just now, so
        the number stays closed for `seconds`, the whole length of that code's window, from now on.
        """
        ...


class Unset:
    """Stands for a guard that was not given, where None means none at all."""


UNSET: Final = Unset()


def check_clock(clock: object) -> None:
    """Refuse what can't be called.

    Raises:
        InvalidRequest: It can't.
    """
    wrong = uncallable("clock", clock)
    if wrong is not None:
        raise InvalidRequest(wrong, field="clock")


def check_guard(guard: object) -> None:
    """Refuse what is no guard.

    Raises:
        InvalidRequest: It says what to give instead.
    """
    if isinstance(guard, Limits):
        raise InvalidRequest(
            "guard is Limits, which guards nothing: did you mean MemoryGuard(Limits(…))?",
            field="guard",
        )
    if guard is not None and not acts(guard, ("reserve", "commit", "release", "block")):
        raise InvalidRequest(
            f"guard must be a MemoryGuard or another guard, not {shown(guard)}", field="guard"
        )
