"""A timeout strikes until its block ends, and is told apart from everybody else's cancellation."""

import asyncio
from contextlib import suppress

import pytest

from ihuyi_voice.common.bound import Bound
from tests.support.virtual_time import loop_time, run_virtual

FOR_EVER = 1e6


async def hang(cleanups: int) -> None:
    """Hang, and again in so many cleanups."""
    try:
        await asyncio.sleep(FOR_EVER)
    finally:
        if cleanups:
            await hang(cleanups - 1)


async def be_deaf(times: int) -> str:
    """Hang, and swallow so many cancellations."""
    for _ in range(times):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(FOR_EVER)
    return "done"


@pytest.mark.parametrize("cleanups", [0, 1, 3])
def test_who_hangs_in_a_cleanup_is_cancelled_there(cleanups: int) -> None:
    """A second after each time before."""

    async def main() -> float:
        began = loop_time()
        with pytest.raises(TimeoutError):
            async with Bound(5.0):
                await hang(cleanups)
        assert not asyncio.current_task().cancelling()  # type: ignore[union-attr]  # there is one
        return loop_time() - began

    assert run_virtual(main()) == 5.0 + cleanups


def test_who_swallows_it_has_what_it_comes_to() -> None:
    """And goes on uncancelled afterwards."""

    async def main() -> tuple[str, float]:
        began = loop_time()
        async with Bound(5.0):
            found = await be_deaf(2)
        await asyncio.sleep(0)
        return found, loop_time() - began

    assert run_virtual(main()) == ("done", 6.0)


@pytest.mark.parametrize("seconds", [None, 5.0])
def test_it_may_begin_later(seconds: float | None) -> None:
    """Or anew: then the time before counts no more."""

    async def main() -> float:
        began = loop_time()
        with pytest.raises(TimeoutError):
            async with Bound(seconds) as bound:
                await asyncio.sleep(4.0)
                bound.begin(3.0)
                await hang(0)
        return loop_time() - began

    assert run_virtual(main()) == 7.0


@pytest.mark.parametrize("seconds", [None, 5.0])
def test_what_ends_in_time_is_left_alone(seconds: float | None) -> None:
    """Nothing strikes later."""

    async def main() -> None:
        async with Bound(seconds):
            await asyncio.sleep(4.0)
        await asyncio.sleep(100.0)

    run_virtual(main())


def test_an_error_passes_through_after_it_has_struck() -> None:
    """Whoever makes one of its cancellation is heard, and the task is no longer cancelled."""

    async def main() -> int:
        with pytest.raises(LookupError):
            async with Bound(1.0):
                try:
                    await hang(0)
                except asyncio.CancelledError:
                    raise LookupError from None
        return asyncio.current_task().cancelling()  # type: ignore[union-attr]  # there is one

    assert run_virtual(main()) == 0


@pytest.mark.parametrize("cleanups", [0, 2])
def test_a_cancellation_of_somebody_elses_stays_one(cleanups: int) -> None:
    """Also where both strike."""

    async def bounded() -> None:
        async with Bound(5.0):
            await hang(cleanups)

    async def main() -> bool:
        task = asyncio.create_task(bounded())
        await asyncio.sleep(4.5)
        task.cancel()
        await asyncio.wait({task})
        return task.cancelled()

    assert run_virtual(main())


def test_what_was_cancelled_before_may_be_bounded() -> None:
    """A cleanup, that is: its timeout is one."""

    async def main() -> None:
        async def cleaning() -> str:
            try:
                await asyncio.sleep(FOR_EVER)
            finally:
                with pytest.raises(TimeoutError):
                    async with Bound(5.0):
                        await hang(1)
            return "never"

        task = asyncio.create_task(cleaning())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()

    run_virtual(main())
