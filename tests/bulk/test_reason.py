"""Why a run starts nothing more, in words that are made of their parts."""

import pytest

from ihuyi_voice import NotSent
from ihuyi_voice.bulk.reason import STOPPED, Reason

CAUSE = NotSent("no connection")


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (Reason.left(), "the run was left early before this message's turn"),
        (
            Reason("the run broke (ValueError: x, as y)"),
            "the run broke (ValueError: x, as y) before this message's turn",
        ),
        (Reason(STOPPED, CAUSE), "the run was stopped before this message's turn: no connection"),
        (
            Reason(STOPPED, CAUSE, "3 messages failed"),
            "the run was stopped, as 3 messages failed, before this message's turn: no connection",
        ),
    ],
)
def test_a_message_whose_turn_never_came_is_told_why(reason: Reason, told: str) -> None:
    """Whatever other people's exceptions say: a comma of theirs makes none of ours."""
    error = reason.error()
    assert str(error) == told
    assert error.__cause__ is reason.cause
