"""What stands against sending a message, of all that may be known of its key."""

from functools import partial
from typing import Any, Final

import pytest

from ihuyi_voice import Action, CallInFlight, InvalidRequest, NotSent, Submission
from ihuyi_voice.ledger.known import accepted_earlier, stands_against
from ihuyi_voice.ledger.states import Ending, State, opens
from tests.support.ledgers import A, B, accepted, draft, held, refused, row_of, unknown

TEXT: Final = "您好"
ANOTHER: Final = "the key was used with another number or content"
PUT_RIGHT: Final = f"{ANOTHER}, which was refused: retry_rejected=True sends one that was put right"
AGAIN: Final = opens(retry_rejected=True)
ONCE: Final = opens(retry_rejected=False)


row_as: Final = partial(row_of, key="k", content=TEXT, ticket=1)

OPEN: Final = row_as(NotSent("x"), state=int(State.OPEN))
IN_FLIGHT: Final = row_as(NotSent("x"), state=int(State.INTENT))
REJECTED: Final = row_as(refused(Action.FIX_REQUEST))
NEVER_SENT: Final = row_as(held(), ticket=0)


@pytest.mark.parametrize(
    ("row", "highest"),
    [(None, ONCE), (OPEN, ONCE), (row_as(held()), ONCE), (NEVER_SENT, ONCE), (REJECTED, AGAIN),
     (row_as(refused(Action.STOP)), ONCE)],
)  # fmt: skip
def test_nothing_stands_against_what_may_be_sent(row: Any, highest: int) -> None:
    """It is new or open, was held back or refused for a while, or its refusal is to be retried."""
    assert stands_against(row, draft(), highest) is None


@pytest.mark.parametrize("highest", [ONCE, AGAIN])
@pytest.mark.parametrize("end", [accepted(), unknown()])
def test_what_may_have_rung_stands_against_it(end: Ending, highest: int) -> None:
    """Whatever is to be retried."""
    found = stands_against(row_as(end), draft(), highest)
    assert (type(found), str(found)) == (type(end), str(end))


@pytest.mark.parametrize("highest", [ONCE, AGAIN])
def test_a_call_in_flight_stands_against_it(highest: int) -> None:
    """It is told in words, for it may still end so that the key opens."""
    found = stands_against(IN_FLIGHT, draft(), highest)
    assert (type(found), str(found)) == (CallInFlight, "a call with this key is in flight")


@pytest.mark.parametrize(
    ("row", "mobile", "content", "highest", "words"),
    [
        (row_as(accepted()), B, TEXT, ONCE, ANOTHER),
        (row_as(accepted()), A, "再见", ONCE, ANOTHER),
        (OPEN, B, TEXT, ONCE, ANOTHER),
        (IN_FLIGHT, A, "再见", AGAIN, ANOTHER),
        (REJECTED, A, "再见", ONCE, PUT_RIGHT),
        (REJECTED, B, TEXT, ONCE, ANOTHER),
        (REJECTED, B, "再见", AGAIN, ANOTHER),
        (row_as(held()), A, "再见", AGAIN, ANOTHER),
    ],
)
def test_another_message_is_refused_in_words(
    row: Any, mobile: str, content: str, highest: int, words: str
) -> None:
    """Also if the key would be open; how to send a text that was put right is said where it may."""
    found = stands_against(row, draft(mobile=mobile, content=content), highest)
    assert isinstance(found, InvalidRequest)
    assert (found.field, str(found)) == ("key", words)


def test_a_message_may_be_put_right_where_no_call_was_begun_or_it_was_refused() -> None:
    """Then nobody has heard the other text."""
    assert stands_against(NEVER_SENT, draft(mobile=B, content="再见"), ONCE) is None
    assert stands_against(REJECTED, draft(content="再见"), AGAIN) is None


def test_what_was_accepted_is_told_at_once() -> None:
    """The very message, that is; each other story is left to be looked at, by its place."""
    rows = [
        ("new to none", A, TEXT, State.ACCEPTED, 1, "V0", ""),
        ("ours", A, TEXT, State.ACCEPTED, 3, "V1", "提交成功"),
        ("settled", A, TEXT, State.ACCEPTED, 0, None, None),
        ("number", B, TEXT, State.ACCEPTED, 1, "V2", ""),
        ("text", A, "再见", State.ACCEPTED, 1, "V3", ""),
        ("held", A, TEXT, State.HELD, 1, None, ""),
    ]
    keys = ["number", "ours", "new", "settled", "text", "held"]
    ends, others = accepted_earlier([draft(key) for key in keys], rows)
    ours, settled = Submission("V1", A, "提交成功", 3), Submission("", A, "", 0)
    assert ends == [None, ours, None, settled, None, None]
    assert others == [0, 4, 5]
