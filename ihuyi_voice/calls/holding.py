"""What is held back: how long to wait, or the error of what would have to wait for too long."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from ihuyi_voice.calls.job import Delay, Job
from ihuyi_voice.common.foreign import ENDING
from ihuyi_voice.errors import CallInFlight, NotSent, RateLimited, VoiceError
from ihuyi_voice.guards import Wait
from ihuyi_voice.models import Action, Operation
from ihuyi_voice.protocol import window_of

_CODE_OF_WINDOW: Final[dict[float | None, int]] = {
    window_of(code): code for code in (4080, 4081, 4082)
}
_HELD_TEXT: Final = "此号码的提交频率已达上限; this number may not be called again yet"
_ACCOUNT_TEXT: Final = "账户的提交频率已达上限; the account may not call anybody yet"
BEHIND: Final = "an earlier call to its number"
SOON: Final = 1.0
"""Where the call in flight will end is anybody's guess; its window is a second at least."""
_SHORTEST: Final = 0.001  # seconds until a guard is asked again, whatever it says


def wait_or_hold(clock: Callable[[], float], job: Job, wait: Wait, now: float) -> Delay:
    """Return how long a job waits for its guard.

    Raises:
        RateLimited: Longer than its caller has patience for.
    """
    seconds = max(wait.seconds, _SHORTEST)
    if now + seconds <= job.patience:
        return Delay(seconds, whole_account=wait.whole_account, waits_for=wait.waits_for)
    code = 4010 if wait.whole_account else _CODE_OF_WINDOW.get(wait.window, 4080)
    text = wait.reason or (_ACCOUNT_TEXT if wait.whole_account else _HELD_TEXT)
    raise held_back(clock, code, seconds, text)


def too_late(clock: Callable[[], float], job: Job, timeout: float, ready_at: float) -> VoiceError:
    """Return what a job comes to that its timeout ends before anything was sent.

    Args:
        clock: Returns Unix time in seconds, UTC.
        job: The job.
        timeout: Its timeout, in seconds.
        ready_at: When the first in its number's line may go on; 0 if nobody knows.
    """
    delay = job.delay
    if delay is not None and delay.elsewhere:
        return CallInFlight(f"a call with this key is in flight, for more than {timeout:g} s")
    if delay is not None and delay.error is None:  # others come first at that number
        return held_back(clock, 4080, max(SOON, ready_at - job.now()))
    reason = job.waits_for if delay is None else "its next try was not due yet"
    error = NotSent(f"it was not sent within its timeout of {timeout:g} s: {reason}")
    error.__cause__ = job.tries.failed
    return error


def held_back(
    clock: Callable[[], float], code: int, seconds: float, text: str = _HELD_TEXT
) -> RateLimited:
    """Return the error of a number that may be called again after so many seconds."""
    error = RateLimited(code, text, Operation.SUBMIT, Action.WAIT)
    error.source = "guard"
    error.retry_at = after(clock, seconds)
    return error


def after(clock: Callable[[], float], seconds: float) -> datetime | None:
    """Return when so many seconds are over; None if the caller's clock doesn't tell the time."""
    try:
        return datetime.fromtimestamp(clock(), UTC) + timedelta(seconds=seconds)
    except ENDING:
        raise
    except BaseException:  # noqa: BLE001 - the clock is the caller's; the answer matters more
        return None


async def over(delay: Delay) -> None:
    """Wait until it is the job's turn, or the time is over."""
    if delay.turn is None:
        await asyncio.sleep(delay.seconds)
    else:
        await asyncio.wait({delay.turn}, timeout=delay.seconds)
