"""News: who is woken, and what is kept."""

# What is kept can only be seen from inside.
# pyright: reportPrivateUsage=false

import asyncio

import pytest

from ihuyi_voice.common.signal import News


async def test_everybody_who_waits_is_woken() -> None:
    """But returns only when what they wait for is so."""
    news, told = News(), 0
    first = asyncio.create_task(news.until(lambda: told >= 1))
    second = asyncio.create_task(news.until(lambda: told >= 2))
    await asyncio.sleep(0)
    told += 1
    news.tell()
    await first
    assert not second.done()
    told += 1
    news.tell()
    await second


async def test_what_is_so_already_is_not_waited_for() -> None:
    """No news need come."""
    await News().until(lambda: True)


async def test_whoever_gives_up_is_forgotten() -> None:
    """Simulators live long, and so would those who wait."""
    news = News()
    waiting = asyncio.create_task(news.until(lambda: False))
    await asyncio.sleep(0)
    assert len(news._waiters) == 1
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not news._waiters
