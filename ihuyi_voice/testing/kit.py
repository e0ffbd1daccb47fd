"""What the fixtures of one test share: the clock, the served vendor, and a client of it."""

import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any, Final

import attrs

from ihuyi_voice.calls import RetryPolicy
from ihuyi_voice.client import VoiceClient
from ihuyi_voice.guards import MemoryGuard, QuietHours
from ihuyi_voice.testing.client import LoopClient
from ihuyi_voice.testing.clock import SharedClock
from ihuyi_voice.testing.home import Home
from ihuyi_voice.testing.options import parted
from ihuyi_voice.testing.simulator import ServedSimulator

_AT_ONCE: Final = RetryPolicy(initial=0.01, maximum=0.1, jitter=0.0)


@attrs.define
class Kit:
    """One test's.

    Attributes:
        clock: The one clock, unless the test has given its own.
        simulator: The vendor.
        client_options: What the mark says of the client.
    """

    clock: SharedClock
    simulator: ServedSimulator
    client_options: dict[str, Any]

    def client(self) -> LoopClient:
        """Return a client of the simulator, not opened yet."""
        options: dict[str, Any] = {
            "retry": _AT_ONCE,
            "guard": MemoryGuard(clock=self.simulator.clock),
            **self.client_options,
        }
        return LoopClient(
            self.simulator.account,
            self.simulator.api_key,
            base_url=self.simulator.url,
            clock=self.simulator.clock,
            **options,
        )

    @property
    def environment(self) -> dict[str, str]:
        """What `VoiceClient.from_env()` reads."""
        simulator = self.simulator
        return {
            "IHUYI_ACCOUNT": simulator.account,
            "IHUYI_API_KEY": simulator.api_key,
            "IHUYI_BASE_URL": simulator.url,
        }

    @property
    def clocks(self) -> list[dict[str, Any]]:
        """The defaults of what has a clock, so that clients made by the app share this one."""
        made = (VoiceClient, MemoryGuard, QuietHours)
        return [cls.__init__.__kwdefaults__ or {} for cls in made]


@contextmanager
def kit(home: Home, marks: Iterable[Mapping[str, Any]]) -> Generator[Kit]:
    """Serve a simulator while inside."""
    of_simulator, of_client = parted(marks)
    # Now, because databases have clocks of their own; whole seconds, so that sums are exact.
    clock = SharedClock(float(int(time.time())), passes_waits=True)
    simulator = ServedSimulator(home, **{"clock": clock, **of_simulator})
    with simulator.served():
        yield Kit(clock, simulator, of_client)
