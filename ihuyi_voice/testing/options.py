"""What `@pytest.mark.ihuyi(...)` may say: options of the simulator, and options of the client."""

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ihuyi_voice.client import VoiceClient
from ihuyi_voice.simulator import Simulator

_BOTH: Final = frozenset({"account", "api_key", "clock"})
_KITS_OWN: Final = frozenset({"base_url", "http_client", "ledger"})


def _names(function: object) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters) - {"self"}  # type: ignore[arg-type]


def parted(marks: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options of the simulator and those of the client.

    Args:
        marks: What each mark says, the nearest to the test first; that wins.

    Raises:
        TypeError: There is no such option; it names the one that was meant, perhaps.
    """
    of_simulator = _names(Simulator.__init__)
    of_client = _names(VoiceClient.__init__) - _BOTH - _KITS_OWN
    options: dict[str, Any] = {}
    for mark in marks:
        options = {**mark, **options}
    unknown = sorted(options.keys() - of_simulator - of_client)
    if unknown:
        near = difflib.get_close_matches(unknown[0], of_simulator | of_client, 1)
        hint = f": did you mean {near[0]}?" if near else ""
        raise TypeError(f"pytest.mark.ihuyi has no option {unknown[0]!r}{hint}")
    return (
        {name: value for name, value in options.items() if name in of_simulator},
        {name: value for name, value in options.items() if name in of_client},
    )
