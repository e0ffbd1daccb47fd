"""What a test gives the simulator is refused by its name if it can't be right."""

from typing import Any

import pytest

from ihuyi_voice.simulator import Simulator, tables
from tests.support.odd import kind_of

LISTS = ("templates", "limits", "repeat_limits", "blacklist", "sensitive_words", "quirks")


@pytest.mark.parametrize("odd", [True, 7, "13900000000", b"x", [7], [None], object()], ids=kind_of)
@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_is_none_is_named(name: str, odd: Any) -> None:
    """One number alone would be a list of its digits, and nobody on it."""
    with pytest.raises(TypeError, match=f"^{name} can't be "):
        Simulator(**{name: odd})


def test_what_lists_is_taken_whatever_it_is() -> None:
    """Generators and settings from JSON among them; None is no template at all."""
    simulator = Simulator(
        templates=None,
        limits=[[1, 1.0, 4080]],  # type: ignore[list-item]  # as JSON has it
        blacklist=(number for number in ("13900000000",)),
        quirks={"smsid"},
    )
    assert simulator.vendor.blacklist == {"13900000000"}
    assert Simulator(limits=tables.LIMITS).vendor.limits == tables.LIMITS
