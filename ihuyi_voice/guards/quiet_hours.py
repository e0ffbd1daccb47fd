"""Quiet hours: a guard around another one, that lets nobody be called at night.

It wraps a guard and never replaces it: by day, whatever is asked of it is asked of the guard
inside, what only some guards can do included. At night nothing is reserved, and whoever asks is
told to wait until the morning, which concerns the whole account.

An alarm that must ring at night goes to the guard inside, `hours.guard`, so that it counts in the
same windows as all other calls.
"""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from datetime import time as Time  # noqa: N812 - a class, beside the module
from types import TracebackType
from typing import Any, ClassVar, Final, Self

from ihuyi_voice.common.foreign import shown
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.guards.contract import PASSES_ON, Guard, Lease, Wait, check_clock, check_guard
from ihuyi_voice.guards.memory import MemoryGuard
from ihuyi_voice.models import CHINA

QUIET: Final = "quiet hours until"
"""How the reason of a wait begins that is of quiet hours."""

_HOUR: Final = r"\s*(\d{1,2})(?:[:：](\d{2}))?\s*"
_HOURS: Final = re.compile(f"{_HOUR}[-–—~～至到]{_HOUR}")
_MIDNIGHT: Final = (24, 0)
_SHORTEST: Final = 0.001  # seconds: a wait is never none, however the clock is read
_EXAMPLE: Final = 'write them as "22:00-08:00", or as two datetime.time'


class QuietHours:
    """Holds every call back during some hours of each day, and leaves the rest to another guard.

    What is held back comes out HELD at once, with `retry_at` at the end of the quiet hours; with a
    `max_wait` that reaches as far, it waits instead. Nothing is lost. A call that was reserved
    before the quiet hours begin may still go out in their first moments.

        hours = QuietHours("22:00-08:00", guard=RedisGuard("redis://…"))
        async with VoiceClient.from_env(guard=hours) as client:
            await client.submit(mobile, reminder)                    # not at night
            await client.submit(mobile, alarm, guard=hours.guard)    # whatever the hour

    Args:
        hours: When it is quiet, as "22:00-08:00" or two `datetime.time`; past midnight if the end
            comes first.
        guard: Keeps the limits per number; by default a `MemoryGuard` of its own. Whoever needs no
            limits gives `MemoryGuard(Limits(None, None, None))`.
        zone: Whose hours they are: China's by default, whose clocks are never changed.
        clock: Returns Unix time in seconds, UTC.

    Raises:
        InvalidRequest: The hours can't be read, or are none; or there is no guard.
    """

    never_suspends: ClassVar[str] = PASSES_ON

    def __init__(
        self,
        hours: str | tuple[Time, Time],
        *,
        guard: Guard | None = None,
        zone: tzinfo = CHINA,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.guard: Guard = MemoryGuard() if guard is None else guard
        check_guard(self.guard)
        self.begin, self.end = _hours(hours)
        if not isinstance(zone, tzinfo):  # pyright: ignore[reportUnnecessaryIsInstance] - settings come from files
            raise InvalidRequest(f"zone must be a datetime.tzinfo, not {shown(zone)}", field="zone")
        check_clock(clock)
        self._zone = zone
        self._clock = clock

    def __repr__(self) -> str:
        return f"QuietHours({_shown(self.begin)}-{_shown(self.end)}, guard={self.guard!r})"

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the guard inside can do
        """Return what else the guard inside can do: `restore`, `statistics`, `max_rate` …."""
        if name.startswith("_") or name == "guard":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.guard, name)

    async def __aenter__(self) -> Self:
        """Enter the guard inside, if it can be."""
        enter = getattr(type(self.guard), "__aenter__", None)
        if enter is not None:
            await enter(self.guard)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave it."""
        leave = getattr(type(self.guard), "__aexit__", None)
        if leave is not None:
            await leave(self.guard, kind, error, traceback)

    async def aclose(self) -> None:
        """Close the guard inside, if it can be."""
        close = getattr(self.guard, "aclose", None)
        if close is not None:
            await close()

    def quiet_for(self) -> float:
        """Return how many seconds it will still be quiet; 0 by day."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        return self._left(now) if self._is_quiet(now) else 0.0

    async def reserve(self, account: str, mobile: str) -> Lease | Wait:
        """Say how long it will be quiet; by day, ask the guard inside."""
        seconds = self.quiet_for()
        if seconds:
            reason = f"{QUIET} {_shown(self.end)}"
            return Wait(seconds, whole_account=True, reason=reason)
        return await self.guard.reserve(account, mobile)

    async def commit(self, lease: Lease) -> None:
        """Tell the guard inside of a call that was accepted, or may have been."""
        await self.guard.commit(lease)

    async def release(self, lease: Lease) -> None:
        """Tell it of a call that was surely not sent, or that the vendor did not count."""
        await self.guard.release(lease)

    async def block(self, lease: Lease, seconds: float) -> None:
        """Tell it of a call that the vendor refused with a rate code."""
        await self.guard.block(lease, seconds)

    def _is_quiet(self, now: datetime) -> bool:
        at = now.astimezone(self._zone).time()
        if self.begin < self.end:
            return self.begin <= at < self.end
        return at >= self.begin or at < self.end

    def _left(self, now: datetime) -> float:
        """Return the seconds from `now`, which is quiet, to the end of these hours."""
        local = now.astimezone(self._zone)
        day = local.date() if local.time() < self.end else local.date() + timedelta(days=1)
        end = datetime.combine(day, self.end, self._zone)
        if end.date() == local.date():
            end = end.replace(fold=local.fold)  # where clocks are changed, an hour comes twice
        return max((end - now).total_seconds(), _SHORTEST)


def _hours(given: object) -> tuple[Time, Time]:
    """Read the beginning and the end of quiet hours.

    Raises:
        InvalidRequest: They can't be read, or are the same.
    """
    begin, end = _read(given) if isinstance(given, str) else _pair(given)
    if begin == end:
        raise InvalidRequest(
            f"quiet hours from {_shown(begin)} to {_shown(end)} are none, or all: "
            "give two different times",
            field="hours",
        )
    return begin, end


def _read(text: str) -> tuple[Time, Time]:
    found = _HOURS.fullmatch(text)
    if found is None:
        raise InvalidRequest(f"quiet hours {text!r:.40} can't be read: {_EXAMPLE}", field="hours")
    hour, minute, last_hour, last_minute = (int(part or 0) for part in found.groups())
    last = (0, 0) if (last_hour, last_minute) == _MIDNIGHT else (last_hour, last_minute)
    try:
        return Time(hour, minute), Time(*last)
    except ValueError as exc:
        raise InvalidRequest(f"quiet hours {text!r:.40}: {exc}", field="hours") from exc


def _pair(given: object) -> tuple[Time, Time]:
    match given:
        case (Time(tzinfo=None) as begin, Time(tzinfo=None) as end):
            return begin, end
        case _:
            raise InvalidRequest(
                f"quiet hours {shown(given)} can't be read: {_EXAMPLE}, without a zone",
                field="hours",
            )


def _shown(at: Time) -> str:
    return at.isoformat("minutes" if not at.second and not at.microsecond else "auto")
