"""The promises of an inbox, held against what handlers were given."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import attrs

from tests.pushes.simulation.world import Pushed, World

_OF_HANDLERS: Final = ("handler", "handler, before", "event hook", "log handler")


@attrs.define(eq=False)
class Judge:
    """Looks at a world that has passed."""

    world: World

    def broken(self) -> list[str]:
        """Return the promises that were broken, in words."""
        found = list(self.world.broken)
        by_call = defaultdict[str, list[Pushed]](list)
        for pushed in self.world.pushes.values():
            by_call[pushed.voice_id].append(pushed)
        for pushes in by_call.values():
            found += self._none_lost(pushes)
            found += self._never_backwards(pushes)
        found += self._once()
        return found

    def _none_lost(self, pushes: list[Pushed]) -> Iterator[str]:
        """Yield which report was answered, and neither handled nor superseded by a later one."""
        for place, pushed in enumerate(pushes):
            if pushed.answered is None or pushed.handled:
                continue
            if not any(later.answered is not None or later.begun for later in pushes[place + 1 :]):
                yield f"{pushed.voice_id}.{pushed.second}: answered, and never handled"

    def _never_backwards(self, pushes: list[Pushed]) -> Iterator[str]:
        """Yield which report a handler began with after a later one had been handled."""
        for place, pushed in enumerate(pushes):
            later = [when for each in pushes[place + 1 :] for when in each.handled]
            for when, _ in pushed.begun:
                if later and when > min(later):
                    yield f"{pushed.voice_id}.{pushed.second}: began at {when:.3f}, too late"

    def _once(self) -> Iterator[str]:
        """Yield what was handled again though nothing had gone wrong."""
        world = self.world
        if world.died or world.disk.trouble or world.disk.lost or world.mischief.did(*_OF_HANDLERS):
            return
        for pushed in world.pushes.values():
            if len(pushed.handled) > 1:
                yield f"{pushed.voice_id}.{pushed.second}: handled {len(pushed.handled)} times"
