"""An option that can't be right is refused in words, however it writes itself."""

from collections.abc import Callable
from datetime import time
from typing import Any, Final

import pytest

from ihuyi_voice import InvalidRequest, RetryPolicy, VoiceClient
from ihuyi_voice.guards import MemoryGuard, QuietHours

NUMBER: Final = "13900000000"


class Unwritten:
    """A value that fails when it is shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Telling:
    """A value that shows a number."""

    def __repr__(self) -> str:
        return f"Telling({NUMBER})" + "." * 500


def _client(**options: Any) -> VoiceClient:
    return VoiceClient("VM12345678", "key", **options)


REFUSED: Final[dict[str, Callable[[Any], object]]] = {
    "on_event": lambda odd: _client(on_event=odd),
    "on_retry": lambda odd: RetryPolicy(on_retry=odd),
    "clock": lambda odd: _client(clock=odd),
    "clock of a guard": lambda odd: MemoryGuard(clock=odd),
    "guard": lambda odd: _client(guard=odd),
    "ledger": lambda odd: _client(ledger=odd),
    "zone": lambda odd: QuietHours((time(22), time(8)), zone=odd),
    "auth": lambda odd: _client(auth=odd),
    "method": lambda odd: _client(method=odd),
    "reply_format": lambda odd: _client(reply_format=odd),
    "hours": QuietHours,
    "retry": lambda odd: _client(retry=odd),
    "max_connections": lambda odd: _client(max_connections=odd),
    "max_wait": lambda odd: _client().submit_many([], max_wait=odd),
    "takeover": lambda odd: _client().submit_many([], run=odd),
}


@pytest.mark.parametrize("odd", [Unwritten(), Telling()], ids=["unwritten", "telling"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_shown_whatever_its_repr_does(name: str, odd: Any) -> None:
    """Its own failure isn't ours, no number is whole in the text, and nothing in it is endless."""
    with pytest.raises(InvalidRequest) as caught:
        REFUSED[name](odd)
    text = str(caught.value)
    assert NUMBER not in text
    assert len(text) < 250
