"""The promises, held against what the vendor saw and what callers were told."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import attrs

from ihuyi_voice import OutcomeStatus
from ihuyi_voice.events import Settled
from tests.client.neighbours.neighbours import RELEASED
from tests.client.neighbours.world import KEY, Told, World
from tests.ledger.simulation.network import Attempt

_SURE: Final = {None, OutcomeStatus.NOT_SENT, OutcomeStatus.HELD, OutcomeStatus.REJECTED}
_NUMBER: Final = re.compile(r"(?<!\d)1390000\d{4}(?!\d)")


@attrs.define(eq=False)
class Judge:
    """Looks at a world that has passed."""

    world: World

    def broken(self) -> list[str]:
        """Return the promises that were broken, in words."""
        attempts = self.world.network.by_content()
        found = list(self.world.broken)
        for content, several in attempts.items():
            found += self._rings_once(content, several)
        for told in self.world.told:
            before = [each for each in attempts.get(told.content, []) if each.began <= told.at]
            found += self._is_true(told, before)
        found += self._in_time()
        found += self._told_once()
        found += self._nothing_changes()
        found += self._leases()
        found += self._events()
        found += self._lines()
        return found

    def _rings_once(self, content: str, attempts: list[Attempt]) -> Iterator[str]:
        times = sum(attempt.voice_id is not None for attempt in attempts)
        if times > 1:
            yield f"{content}: rung {times} times"
        for earlier, later in pairwise(attempts):
            if earlier.may_have_rung:
                yield f"{content}: sent at {later.began:.3f}, though it may have rung before"

    def _in_time(self) -> Iterator[str]:
        """Yield what was sent after its call's time."""
        calls = defaultdict[str, list[tuple[float, float]]](list)
        for content, begun, until in self.world.times:
            calls[content].append((begun, until))
        for each in self.world.network.attempts:
            times = calls.get(each.content)
            if times and not any(begun <= each.began <= until for begun, until in times):
                yield f"{each.content}: sent at {each.began:.3f}, after its time"

    def _is_true(self, told: Told, attempts: list[Attempt]) -> Iterator[str]:
        """Yield what a caller was told and was not so."""
        said = f"{told.content}: told {told.status}"
        if told.status in _SURE and any(attempt.may_have_rung for attempt in attempts):
            yield f"{said}, though it may have rung"
        if told.status is OutcomeStatus.ACCEPTED:
            if told.voice_id not in {attempt.voice_id for attempt in attempts}:
                yield f"{said} as {told.voice_id}, which the vendor never gave"
        elif told.status is OutcomeStatus.REJECTED:
            if told.code not in {attempt.code for attempt in attempts}:
                yield f"{said} by {told.code}, which the vendor never said"
        elif told.status is OutcomeStatus.UNKNOWN and self._is_sure(told, attempts):
            yield f"{said}, though every answer was read, of {len(attempts)}"

    def _is_sure(self, told: Told, attempts: list[Attempt]) -> bool:
        """Say whether all was known when it was told; a deaf attempt may have gone on then."""
        deaf = any(deed == "is deaf" for _, deed in self.world.mischief.done)
        return not (told.calm or deaf) and all(attempt.understood for attempt in attempts)

    def _told_once(self) -> Iterator[str]:
        """Yield which message of a run has no outcome, or several, or is not counted."""
        for course in self.world.courses:
            taken = Counter(message.content for message in course.taken)
            heard = Counter(outcome.message.content for outcome in course.heard)
            if taken != heard:
                yield f"taken and not told: {taken - heard}; told and not taken: {heard - taken}"
            if sum(course.run.summary.values()) != len(course.taken):
                yield f"{len(course.taken)} taken, and the summary says {course.run.summary}"

    def _nothing_changes(self) -> Iterator[str]:
        """Yield what was told to be accepted and, later, to be something else."""
        by_content = defaultdict[str, list[Told]](list)
        for told in self.world.told:
            by_content[told.content].append(told)
        for content, several in by_content.items():
            for earlier, later in pairwise(several):
                if earlier.status is OutcomeStatus.ACCEPTED and later.status in _SURE:
                    yield f"{content}: ACCEPTED, and then {later.status}"

    def _leases(self) -> Iterator[str]:
        for lent in self.world.guard.lent.values():
            if len(lent.by) != 1:
                yield f"a lease of {lent.mobile} of {lent.at:.3f} was settled by {lent.by}"
            elif lent.by == [RELEASED] and self._rang(lent.mobile, lent.at, lent.over or 0.0):
                yield f"a lease of {lent.mobile} was released, and it rang"

    def _rang(self, mobile: str, since: float, until: float) -> bool:
        return any(
            attempt.voice_id is not None
            and attempt.mobile == mobile
            and since <= attempt.began < until
            for attempt in self.world.network.attempts
        )

    def _events(self) -> Iterator[str]:
        ends = [event for event in self.world.listener.heard if isinstance(event, Settled)]
        for call, times in Counter(event.call for event in ends).items():
            if call is not None and times > 1:
                yield f"call {call} was settled {times} times"
        told = Counter(told.status for told in self.world.told if told.status is not None)
        heard = Counter(event.status for event in ends)
        if told - heard:
            yield f"told to callers, and to no hook: {told - heard}"

    def _lines(self) -> Iterator[str]:
        for line in self.world.handler.lines:
            if KEY in line or _NUMBER.search(line):
                yield f"a line shows too much: {line!r}"
