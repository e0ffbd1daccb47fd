"""Faults on demand: which requests and pushes they hit, and what then goes wrong."""

import math
import random
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, TypeVar

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


def _within(least: float, most: float = math.inf) -> Callable[[object, Any, float | None], None]:
    """Return a validator: None, or a finite number that is not below the one or above the other."""

    def check(_: object, attribute: "attrs.Attribute[Any]", value: float | None) -> None:
        if value is None or (least <= value <= most and value < math.inf):
            return
        wrong = f", below {least}" if most == math.inf else f", not {least} to {most}"
        if not math.isfinite(value):
            wrong = "; it must be finite"
        raise ValueError(f"{attribute.name} is {value}{wrong}")

    return check


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

    Raises:
        ValueError: A number can't be right.
    """

    operation: str | None = None
    mobile: str | None = None
    share: float = attrs.field(default=1.0, validator=_within(0, 1))
    nth: int = attrs.field(default=1, validator=_within(1))
    times: int | None = attrs.field(default=None, validator=_within(0))
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
    seconds: float = attrs.field(default=0.0, validator=_within(0), kw_only=True)
    jitter: float = attrs.field(default=0.0, validator=_within(0), kw_only=True)
    status: int = attrs.field(default=502, validator=_within(100, 599), kw_only=True)
    code: int = attrs.field(default=0, kw_only=True)


@attrs.define(eq=False)
class PushFault(Rule):
    """A rule by which pushes go wrong; for the conditions see `Rule`.

    Attributes:
        kind: What goes wrong; a `PushFaultKind` or its value.
        seconds: How late.
    """

    kind: PushFaultKind = attrs.field(converter=_push_kind)
    seconds: float = attrs.field(default=0.0, validator=_within(0), kw_only=True)
