"""The event loop's time, for waits that end, too, when somebody moves the clock."""

from collections.abc import Callable

from ihuyi_voice.common.foreign import ENDING


class Moved:
    """Tells the event loop's time, and by how much the caller's clock was moved besides.

    If that clock fails in the midst of a call it is where it was last: an answer matters more.

    Args:
        time: The event loop's.
        moved: Returns by how many seconds the clock was moved; if it fails now, so does this.
    """

    __slots__ = ("_by", "_moved", "_time")

    def __init__(self, time: Callable[[], float], moved: Callable[[], float]) -> None:
        self._time = time
        self._moved = moved
        self._by = float(moved())

    def __call__(self) -> float:
        """Return it, in seconds."""
        try:
            self._by = float(self._moved())
        except ENDING:
            raise
        except BaseException:  # noqa: BLE001, S110 - it is the caller's
            pass
        return self._time() + self._by
