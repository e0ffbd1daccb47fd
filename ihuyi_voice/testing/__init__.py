"""What helps users to test their own code that calls people: see `testing.plugin` for the fixtures.

The plugin is loaded with pytest, so nothing here is imported before somebody asks for it.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ihuyi_voice.common.network import NetworkForbidden
    from ihuyi_voice.testing.clock import SharedClock
    from ihuyi_voice.testing.mocks import (
        accept,
        drop_after_send,
        drop_before_send,
        gateway_error,
        reject,
        time_out,
    )
    from ihuyi_voice.testing.simulator import ServedSimulator

__all__ = [
    "NetworkForbidden",
    "ServedSimulator",
    "SharedClock",
    "accept",
    "drop_after_send",
    "drop_before_send",
    "gateway_error",
    "reject",
    "time_out",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    homes = {
        "NetworkForbidden": "ihuyi_voice.common.network",
        "ServedSimulator": "ihuyi_voice.testing.simulator",
        "SharedClock": "ihuyi_voice.testing.clock",
    }
    return getattr(importlib.import_module(homes.get(name, "ihuyi_voice.testing.mocks")), name)
