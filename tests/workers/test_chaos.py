"""Workers that are killed, put to sleep and cut off on the way: nothing twice, nothing missing."""

from typing import Final

import pytest

from tests.workers.chaos import Plan, chaos
from tests.workers.member import Options

QUICK: Final = Options(minute=5.0)

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("redis_url", "postgres")]


@pytest.mark.long
async def test_undisturbed_workers_share_a_run() -> None:
    """Nothing is unknown, then."""
    plan = Plan(600, 450, processes=4, part_size=50, options=QUICK)
    result = await chaos(plan)
    result.check(plan)
    assert result.counts == {"ACCEPTED": 600}


@pytest.mark.long
@pytest.mark.parametrize("redis", ["keep", "lose"])
async def test_a_long_run_of_many_deaths(redis: str) -> None:
    """Eight workers, five of them killed, five asleep, both servers restarted on the way.

    In the order of each number, without a 408x; unknown is what was in flight at a death.
    """
    plan = Plan(2_000, 1_500, 8, 5, 5, redis, postgres=True, part_size=100, options=QUICK)
    (await chaos(plan)).check(plan)
