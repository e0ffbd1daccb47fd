"""Faults on demand: which requests and pushes they hit, and what then goes wrong."""

import random
from collections.abc import Iterable
from enum import StrEnum
from typing import TypeVar

import attrs


class FaultKind(StrEnum):
    """What goes wrong.

    Attributes:
        LATENCY: The reply takes `seconds` longer, and up to `jitter` random seconds more.
        DISCONNECT_BEFORE: The connection breaks before the vendor acts.
        DISCONNECT_AFTER: The vendor acts, then the connection breaks.
        STATUS: The vendor acts, then a gateway answers the HTTP `status`.
        TRUNCATED: The vendor acts, and its reply ends in the middle.
        UNREADABLE: The vendor acts, and an HTML page comes instead of its reply.
        EMPTY: The vendor acts, and an empty body comes.
        SILENCE: The vendor acts and never answers.
        CODE: The vendor doesn't act and replies `code`.
    """

    LATENCY = "latency"
    DISCONNECT_BEFORE = "disconnect_before"
    DISCONNECT_AFTER = "disconnect_after"
    STATUS = "status"
    TRUNCATED = "truncated"
    UNREADABLE = "unreadable"
    EMPTY = "empty"
    SILENCE = "silence"
    CODE = "code"


class PushFaultKind(StrEnum):
    """What goes wrong with a push.

    Attributes:
        DUPLICATE: It is sent twice at once.
        LATE: It is sent `seconds` late, so that later ones overtake it.
        ANSWER_LOST: It arrives, but its answer is not heard, so that it is tried again.
        LOST: This try does not arrive.
    """

    DUPLICATE = "duplicate"
    LATE = "late"
    ANSWER_LOST = "answer_lost"
    LOST = "lost"


def _kind(kind: str) -> FaultKind:
    return FaultKind(kind)


def _push_kind(kind: str) -> PushFaultKind:
    return PushFaultKind(kind)


@attrs.define(eq=False, kw_only=True)
class Rule:
    """Conditions; what fits all of them goes wrong.

    Attributes:
        operation: Only this operation, for example `Submit`; for pushes, `report` or `audit`.
        mobile: Only what concerns this number.
        share: Only this share of what fits, 0 to 1, at random.
        nth: Only every nth that fits.
        times: At most so many times.
        seen: How many have fitted so far.
        hits: How many of them went wrong.
    """

    operation: str | None = None
    mobile: str | None = None
    share: float = 1.0
    nth: int = 1
    times: int | None = None
    seen: int = attrs.field(default=0, init=False)
    hits: int = attrs.field(default=0, init=False)

    def strikes(self, operation: str, mobile: str, chance: random.Random) -> bool:
        """Say whether a request or a push goes wrong, and count it."""
        if self.operation not in {None, operation} or self.mobile not in {None, mobile}:
            return False
        self.seen += 1
        if self.seen % self.nth or chance.random() >= self.share:
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        self.hits += 1
        return True


R = TypeVar("R", bound=Rule)


def first_to_strike(
    rules: Iterable[R], operation: str, mobile: str, chance: random.Random
) -> R | None:
    """Return the first rule by which something goes wrong; rules behind it don't count it."""
    return next((rule for rule in rules if rule.strikes(operation, mobile, chance)), None)


@attrs.define(eq=False)
class Fault(Rule):
    """A rule by which requests go wrong; for the conditions see `Rule`.

    Attributes:
        kind: What goes wrong; a `FaultKind` or its value.
        seconds: How much latency.
        jitter: How much random latency beside it.
        status: Which HTTP status.
        code: Which vendor code.
    """

    kind: FaultKind = attrs.field(converter=_kind)
    seconds: float = attrs.field(default=0.0, kw_only=True)
    jitter: float = attrs.field(default=0.0, kw_only=True)
    status: int = attrs.field(default=502, kw_only=True)
    code: int = attrs.field(default=0, kw_only=True)


@attrs.define(eq=False)
class PushFault(Rule):
    """A rule by which pushes go wrong; for the conditions see `Rule`.

    Attributes:
        kind: What goes wrong; a `PushFaultKind` or its value.
        seconds: How late.
    """

    kind: PushFaultKind = attrs.field(converter=_push_kind)
    seconds: float = attrs.field(default=0.0, kw_only=True)
