"""Faults on demand: which requests they hit, and what then goes wrong."""

import random
from enum import StrEnum

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


def _kind(kind: str) -> FaultKind:
    return FaultKind(kind)


@attrs.define(eq=False)
class Fault:
    """A rule: every request that fits all of its conditions goes wrong.

    Attributes:
        kind: What goes wrong; a `FaultKind` or its value.
        operation: Only this operation, for example `Submit`.
        mobile: Only requests for this number.
        share: Only this share of the requests that fit, 0 to 1, at random.
        nth: Only every nth request that fits.
        times: At most so many times.
        seconds: How much latency.
        jitter: How much random latency beside it.
        status: Which HTTP status.
        code: Which vendor code.
        seen: How many requests have fitted so far.
        hits: How many of them went wrong.
    """

    kind: FaultKind = attrs.field(converter=_kind)
    operation: str | None = None
    mobile: str | None = None
    share: float = 1.0
    nth: int = 1
    times: int | None = None
    seconds: float = 0.0
    jitter: float = 0.0
    status: int = 502
    code: int = 0
    seen: int = attrs.field(default=0, init=False)
    hits: int = attrs.field(default=0, init=False)

    def strikes(self, operation: str, mobile: str, chance: random.Random) -> bool:
        """Say whether a request goes wrong, and count it."""
        if self.operation not in {None, operation} or self.mobile not in {None, mobile}:
            return False
        self.seen += 1
        if self.seen % self.nth or chance.random() >= self.share:
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        self.hits += 1
        return True
