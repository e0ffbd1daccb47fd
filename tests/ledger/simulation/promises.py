"""The whole list of promises, held against what the vendor saw and what callers were told."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

import attrs

from ihuyi_voice import Message, OutcomeStatus, VendorError
from ihuyi_voice.ledger import Entry, Ledger
from tests.ledger.simulation.network import Attempt
from tests.ledger.simulation.processes import Process
from tests.ledger.simulation.world import RUN, World

_MAY_HAVE_RUNG: Final = {OutcomeStatus.ACCEPTED, OutcomeStatus.UNKNOWN}
_FINAL: Final = {407, 4072}  # FIX_REQUEST
_CLOSED: Final = {4080: (1, 1.0), 4081: (3, 60.0), 4082: (10, 86_400.0)}


@attrs.define(eq=False)
class Judge:
    """Looks at a world that has passed.

    Attributes:
        world: The world.
        entries: The ledger's, by their contents.
    """

    world: World
    entries: Mapping[str, Entry]

    def broken(self) -> list[str]:
        """Return the promises that were broken, in words."""
        found = list(self.world.broken)
        attempts = self.world.network.by_content()
        for content, message in self._messages().items():
            found += self._of_one(content, message, attempts.get(content, []))
        found += self._told()
        found += self._sure_and_sent()
        found += self._too_often()
        return found

    def _messages(self) -> dict[str, Message]:
        world = self.world
        return {each.content: each for each in (*world.run_messages, *world.keyed_messages)}

    def _of_one(self, content: str, message: Message, attempts: Sequence[Attempt]) -> Iterator[str]:
        rung = [attempt for attempt in attempts if attempt.voice_id is not None]
        entry = self.entries.get(content)
        if entry is None:
            yield f"{content}: lost, no entry"
        elif content in self.world.erred:
            yield from self._is_not_silent(content, entry, rung)
        else:
            yield from self._is_sent_once(content, attempts)
            yield from self._agrees(content, entry, attempts, rung)

    def _is_sent_once(self, content: str, attempts: Sequence[Attempt]) -> Iterator[str]:
        times = sum(attempt.voice_id is not None for attempt in attempts)
        if times > 1:
            yield f"{content}: rung {times} times"
        if content in self.world.cleared:
            return
        for earlier, later in pairwise(attempts):
            if earlier.may_have_rung:
                yield f"{content}: sent at {later.began:.3f}, though it may have rung before"

    def _is_not_silent(self, content: str, entry: Entry, rung: Sequence[Attempt]) -> Iterator[str]:
        """Look at what a person settled as not sent without knowing: it may ring again, loudly."""
        known = {entry.voice_id, *entry.also} - {None}
        wrong = not known <= {each.voice_id for each in rung}
        if wrong and not self._is_of_one_who_was_denied(entry):
            yield f"{content}: known as {known}, and the vendor knows nothing of it"
        for each in rung:
            heard = each.understood and self.world.watch.told(each.process, content, each.began)
            if heard and each.voice_id not in known:
                yield f"{content}: rung as {each.voice_id}, which was told, and {entry!r} hides it"

    def _agrees(
        self, content: str, entry: Entry, attempts: Sequence[Attempt], rung: Sequence[Attempt]
    ) -> Iterator[str]:
        status = str(entry.status).upper()
        if status == "ACCEPTED":
            wrong = not rung or rung[0].voice_id != entry.voice_id
            if wrong and not self._is_of_one_who_was_denied(entry):
                yield f"{content}: ACCEPTED as {entry.voice_id}, and the vendor knows nothing of it"
        elif status == "UNKNOWN":
            if self._can_be_of_no_other(content, entry):
                yield f"{content}: UNKNOWN, though its report has come"
            sure = all(attempt.understood for attempt in attempts)
            if sure and not self.world.watch.interrupted(content):
                yield f"{content}: UNKNOWN for no reason"
        elif status == "REJECTED":
            codes = [attempt.code for attempt in attempts]
            said = entry.error.code if isinstance(entry.error, VendorError) else None
            if rung or codes[-1:] != [said] or said not in _FINAL:
                yield f"{content}: REJECTED, though the vendor said {codes}"
        else:
            yield f"{content}: {status} in the end"

    def _is_of_one_who_was_denied(self, entry: Entry) -> bool:
        """Say whether an id is of a call that a person denied: its report then seems another's."""
        return any(
            attempt.voice_id == entry.voice_id and attempt.content in self.world.erred
            for attempt in self.world.network.attempts
        )

    def _can_be_of_no_other(self, content: str, entry: Entry) -> bool:
        """Say whether a report must have settled an entry: its own, and no other's."""
        if not self.world.talks:
            return False
        mobile = entry.message.mobile
        same = [each for each in self.entries.values() if each.message.mobile == mobile]
        known = {each for entry in same for each in (entry.voice_id, *entry.also)}
        free = [
            each.content
            for each in self.world.network.attempts
            if each.mobile == mobile and each.voice_id is not None and each.voice_id not in known
        ]
        unsure = [each for each in same if each.status is OutcomeStatus.UNKNOWN]
        return free == [content] and unsure == [entry]

    def _sure_and_sent(self) -> Iterator[str]:
        """Yield where a run told that a message was not sent, and it may have rung."""
        said = defaultdict[tuple[Process, str], set[OutcomeStatus]](set)
        for told in self.world.told:
            if told.of_run:  # a keyed call is told of itself alone, and others have the same key
                said[told.process, told.content].add(told.status)
        for attempt in self.world.network.attempts:
            statuses = said.get((attempt.process, attempt.content))
            lied = statuses and not statuses & _MAY_HAVE_RUNG and attempt.may_have_rung
            if lied and attempt.content not in self.world.twice:
                yield f"{attempt.content}: told {statuses}, though it may have rung"

    def _told(self) -> Iterator[str]:
        ids = {each.voice_id for each in self.world.network.attempts}
        by_key: dict[str, set[str | None]] = {}
        for told in self.world.told:
            if told.status is OutcomeStatus.ACCEPTED:
                by_key.setdefault(told.key, set()).add(told.voice_id)
                if told.voice_id not in ids:
                    yield f"{told.content}: told of {told.voice_id}, which the vendor never gave"
        erred = {told.key for told in self.world.told if told.content in self.world.erred}
        for key, several in by_key.items():
            if len(several) > 1 and key not in erred:
                yield f"{key}: told of {several}"

    def _too_often(self) -> Iterator[str]:
        for attempt in self.world.network.attempts:
            refused = attempt.code in _CLOSED and not attempt.given
            if refused and not self._excused(attempt):
                yield f"{attempt.content}: {attempt.code} though the guard should have known"

    def _excused(self, refused: Attempt) -> bool:
        """Say whether a refusal comes from a call that its guard could not know of."""
        assert refused.arrived is not None
        count, seconds = _CLOSED[refused.code or 0]
        earlier = [
            each
            for each in self.world.network.attempts
            if each.mobile == refused.mobile and each.voice_id is not None
            and each.arrived is not None
            and refused.arrived - seconds < each.arrived <= refused.arrived and each is not refused
        ]  # fmt: skip
        late = self._given_up(refused) <= refused.arrived
        return late or any(self._is_out_of_sight(each, refused) for each in earlier[-count:])

    def _is_out_of_sight(self, each: Attempt, refused: Attempt) -> bool:
        assert each.arrived is not None
        if each.arrived >= self._given_up(each) or each.content in self.world.erred:
            return True
        if each.process is refused.process:
            return False
        return self.world.gone.get(each.process, math.inf) >= self.world.born[refused.process]

    def _given_up(self, attempt: Attempt) -> float:
        """Return when nobody waited for it any more."""
        over = math.inf if attempt.over is None else attempt.over
        return min(over, self.world.gone.get(attempt.process, math.inf))


async def entries_of(world: World) -> dict[str, Entry]:
    """Return the ledger's entries by their contents."""
    found: dict[str, Entry] = {}
    async with Ledger.open("calls.db") as ledger:
        for run in (RUN, ""):
            async for entry in ledger.entries(run):
                if entry.message.content in found:
                    world.broken.append(f"two entries of {entry.message.content}")
                found[entry.message.content] = entry
    return found
