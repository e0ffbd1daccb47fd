"""Workers that are killed, put to sleep and cut off on the way: nothing twice, nothing missing."""

import os
from typing import Final

import pytest

from tests.workers.chaos import Plan, chaos
from tests.workers.member import Options

LONG: Final = os.environ.get("IHUYI_LONG_TESTS") == "1"
QUICK: Final = Options(minute=5.0)
SHORT: Final = Plan(600, 450, processes=3, part_size=50, options=QUICK)

pytestmark = pytest.mark.timeout(600)


@pytest.mark.usefixtures("redis_url", "postgres")
@pytest.mark.parametrize(
    "plan",
    [
        Plan(2_000, 1_500, processes=4, part_size=100, options=QUICK) if LONG else SHORT,
        Plan(600, 450, 3, kills=2, stops=1, redis="keep", part_size=50, seed=1, options=QUICK),
        Plan(600, 450, 3, kills=1, redis="lose", postgres=True, part_size=50, options=QUICK),
    ],
    ids=["undisturbed", "killed", "restarted"],
)
async def test_nothing_twice_and_nothing_missing(plan: Plan) -> None:
    """In the order of each number, without a 408x; unknown is what was in flight at a death."""
    (await chaos(plan)).check(plan)


@pytest.mark.skipif(not LONG, reason="IHUYI_LONG_TESTS is not 1")
@pytest.mark.parametrize("redis", ["keep", "lose"])
async def test_a_long_run_of_many_deaths(redis: str) -> None:
    """Eight workers, ten of them killed, ten asleep, both servers restarted."""
    plan = Plan(4_000, 3_000, 8, 10, 10, redis, postgres=True, part_size=100, options=QUICK)
    (await chaos(plan)).check(plan)
