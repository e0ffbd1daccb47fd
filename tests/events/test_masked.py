"""No event shows a secret or a whole number, whatever errors it carries."""

from typing import Any, get_args

import attrs
import pytest

from ihuyi_voice import NotSent, OutcomeStatus, VoiceError
from ihuyi_voice.events import Event
from ihuyi_voice.models import Operation
from tests.support.vendor import MOBILE

SECRET = "0123456789abcdef0123456789abcdef"


class Hostile(Exception):
    """One whose words are somebody's number and a dynamic password."""

    def __str__(self) -> str:
        return f"no route to {MOBILE}\x1b[2J with {SECRET}"

    __repr__ = __str__


class Mute(Exception):
    """One that has no words at all."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


VALUES: dict[str, Any] = {
    "mobile": MOBILE,
    "run": f"to {MOBILE}",
    "reason": f"bad field {MOBILE}",
    "status": OutcomeStatus.REJECTED,
    "operation": Operation.SUBMIT,
    "counts": {OutcomeStatus.ACCEPTED: 1},
    "look": lambda: None,
}


def value_of(field: Any, error: BaseException) -> Any:
    """Return something for a field of an event."""
    if field.type in {BaseException | None, VoiceError, VoiceError | None}:
        return error
    of_its_type = field.name != "run" or field.type is str
    return VALUES[field.name] if field.name in VALUES and of_its_type else 7


@pytest.mark.parametrize("error", [Hostile(), Mute(), NotSent(f"{MOBILE} {SECRET}")])
@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: kind.__name__)
def test_the_repr_of_an_event_shows_neither(kind: type[Any], error: BaseException) -> None:
    """Of each kind, with the worst in every field."""
    shown = repr(kind(**{field.name: value_of(field, error) for field in attrs.fields(kind)}))
    assert MOBILE not in shown
    assert SECRET not in shown
    assert "\x1b" not in shown
    assert kind.__name__ in shown


@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: kind.__name__)
def test_an_event_can_not_be_changed(kind: type[Any]) -> None:
    """Others are told the same one."""
    fields = attrs.fields(kind)
    event = kind(**{field.name: value_of(field, NotSent()) for field in fields})
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(event, fields[0].name, None)
