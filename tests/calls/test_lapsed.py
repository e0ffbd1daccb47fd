"""A lease that has lapsed while its call waited: others may have the number, so nothing is sent."""

import time
from typing import Any

import httpx
import pytest

from ihuyi_voice import GuardUnavailable, MemoryGuard, NotSent, VoiceClient
from ihuyi_voice.guards import Lease, Wait
from ihuyi_voice.simulator import Simulator
from tests.support.guards import Misbehaving, NoException
from tests.support.journals import FakeLedger
from tests.support.vendor import CONTENT, MOBILE, ONCE, in_process, vendor
from tests.support.virtual_time import run_virtual


class Lapsing(Lease):
    """A lease that says what its guard wants it to say."""

    says: object = True
    asked = 0

    def lapsed(self) -> bool:
        """Say whether it has lapsed."""
        self.asked += 1
        if isinstance(self.says, BaseException):
            raise self.says
        return bool(self.says)


class Standing(MemoryGuard):
    """A guard whose process stands still after a reservation."""

    def __init__(self, says: object) -> None:
        super().__init__()
        self.lease = Lapsing("a", MOBILE)
        self.lease.says = says
        self.ended: list[str] = []

    async def reserve(self, account: str, mobile: str) -> Lease | Wait:
        """Reserve."""
        return self.lease

    async def commit(self, lease: Lease) -> None:
        """Take note."""
        self.ended.append("commit")

    async def release(self, lease: Lease) -> None:
        """Take note."""
        self.ended.append("release")


class Unaskable(Lease):
    """A lease of which nobody can even have what says whether it has lapsed."""

    @property
    def lapsed(self) -> bool:
        """Fail."""
        raise LookupError("no such lease")


async def submit(says: object, simulator: Simulator, *, foreign: bool = False) -> Standing:
    """Submit once under such a guard, over our own pool or a transport that isn't ours."""
    guard = Standing(says)
    web = httpx.AsyncClient() if foreign else None
    async with simulator.serve() as url:
        try:
            async with VoiceClient(
                simulator.account, simulator.api_key, base_url=url,
                guard=guard, retry=ONCE, http_client=web,
            ) as client:  # fmt: skip
                await client.submit(MOBILE, CONTENT)
        finally:
            if web is not None:
                await web.aclose()
    return guard


@pytest.mark.parametrize("transport", ["own", "foreign"])
async def test_nothing_is_sent_on_a_lapsed_lease(transport: str) -> None:
    """Over either transport it is NOT_SENT, as the vendor never sees it."""
    simulator = Simulator()
    with pytest.raises(NotSent, match="lease had lapsed"):
        await submit(says=True, simulator=simulator, foreign=transport == "foreign")
    assert not simulator.arrivals


async def test_a_lease_is_asked_once_and_goes_out_if_it_is_good() -> None:
    """When the body is taken, and not before."""
    simulator = Simulator()
    guard = await submit(says=False, simulator=simulator)
    assert guard.lease.asked == 1
    assert guard.ended == ["commit"]
    assert len(simulator.arrivals) == 1


@pytest.mark.parametrize("error", [OSError("gone"), NoException("gone")])
async def test_a_lease_that_fails_to_say_sends_nothing(error: BaseException) -> None:
    """It is foreign code; its lease ends as that of a call that was not made."""
    simulator = Simulator()
    with pytest.raises(GuardUnavailable, match=type(error).__name__):
        await submit(says=error, simulator=simulator)
    assert not simulator.arrivals


def test_a_lease_that_can_not_even_be_asked_sends_nothing() -> None:
    """And locks nothing: neither its number nor its key."""

    class Odd(Misbehaving):
        async def reserve(self, account: str, mobile: str) -> Any:
            self.given: Any = await super().reserve(account, mobile)
            return Unaskable(account, mobile)

        async def release(self, lease: Lease) -> None:
            await super().release(self.given)

    async def main() -> tuple[int, int, dict[str, str]]:
        simulator, guard, ledger = vendor(), Odd(), FakeLedger()
        async with in_process(simulator, guard=guard, ledger=ledger) as client:
            with pytest.raises(GuardUnavailable, match="no such lease"):
                await client.submit(MOBILE, CONTENT, key="k")
        return len(simulator.arrivals), guard.in_flight, ledger.store.states()

    assert run_virtual(main()) == (0, 0, {"k": "NOT_SENT"})


async def test_a_lease_in_redis_lapses_by_this_processs_clock(
    redis_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that stood still for as long as its lease, sends nothing when it goes on."""
    from ihuyi_voice.guards import RedisGuard  # noqa: PLC0415
    from ihuyi_voice.guards.redis_batches import Held  # noqa: PLC0415

    simulator = Simulator()
    lapsed, real = Held.lapsed, time.monotonic

    def stopped(lease: Held) -> bool:
        assert not lapsed(lease)
        with monkeypatch.context() as frozen:
            frozen.setattr(time, "monotonic", lambda: real() + 30.0)
            return lapsed(lease)

    monkeypatch.setattr(Held, "lapsed", stopped)
    async with (
        simulator.serve() as url,
        RedisGuard(redis_url, prefix=prefix) as guard,
        VoiceClient(
            simulator.account, simulator.api_key, base_url=url, guard=guard, retry=ONCE
        ) as client,
    ):
        with pytest.raises(NotSent, match="lease had lapsed"):
            await client.submit(MOBILE, CONTENT)
        assert isinstance(await guard.reserve(simulator.account, MOBILE), Lease)
    assert not simulator.arrivals
