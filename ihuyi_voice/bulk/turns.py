"""When a task that never has to wait lets the event loop's others have a turn."""

import asyncio
from typing import Final

FEW: Final = 64
"""Steps that are made without a pause while nobody knows what one takes."""

_MOST: Final = 128  # that are made between two looks at the clock
_MANY: Final = 512  # that are never made without one, whatever the clock says
_SHORT: Final = 0.001  # seconds that may pass


class Turns:
    """Counts the steps of a task between its waits.

    A turn of the event loop costs as much as some ten steps, so there is none as long as the steps
    are quick; those that take their time, as foreign code may, are interrupted soon.

    Attributes:
        few: How many steps to make until `after` is awaited.
    """

    __slots__ = ("_began", "_steps", "few")

    def __init__(self) -> None:
        self._steps, self._began, self.few = 0, 0.0, FEW

    def begin(self) -> None:
        """Hear that there was a wait."""
        self._steps, self._began = 0, asyncio.get_running_loop().time()

    async def after(self, steps: int) -> None:
        """Pause if it is time to, so many steps since this was asked the last time."""
        self._steps += steps
        passed = asyncio.get_running_loop().time() - self._began
        each = max(passed / self._steps, _SHORT / _MOST)
        self.few = max(1, int(_SHORT / each))
        if self._steps >= _MANY or passed > _SHORT:
            await asyncio.sleep(0)
            self.begin()
