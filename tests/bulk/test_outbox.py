"""The outcomes of a batch are counted, queued up, and told of, whatever a hook does."""

import pytest

from ihuyi_voice import InvalidRequest, Message, Outcome, OutcomeStatus
from ihuyi_voice.bulk.outbox import Outbox
from ihuyi_voice.bulk.outcomes import ended
from ihuyi_voice.bulk.progress import Tally
from ihuyi_voice.calls import Events
from ihuyi_voice.events import Event, Settled


def test_a_hook_that_ends_the_program_at_one_outcome_hears_of_the_others_and_loses_none() -> None:
    """What it raised goes on when all lie in the queue, in their order."""
    told: list[Event] = []

    def hook(event: Event) -> None:
        told.append(event)
        if len(told) == 1:
            raise KeyboardInterrupt

    again = [
        Outcome(Message(f"1390000000{n}", "text"), OutcomeStatus.ACCEPTED, str(n), replayed=True)
        for n in range(3)
    ]
    outcomes = [*again, ended(Message("12", "text"), InvalidRequest("no number"))]
    tally = Tally()
    outbox = Outbox(tally, Events(hook))
    with pytest.raises(KeyboardInterrupt):
        outbox.put_all(outcomes, [7, 8, 9, None])
    assert list(outbox.outcomes) == outcomes
    assert outbox.changed.is_set()
    assert [each.call for each in told if isinstance(each, Settled)] == [7, 8, 9, None]
    assert (tally.replayed, tally.counts[OutcomeStatus.ACCEPTED]) == (3, 3)
    assert tally.counts[OutcomeStatus.NOT_SENT] == 1
