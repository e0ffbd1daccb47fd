"""Projects that make it hard: apps that never answer or end the program, policies of their own."""

from pathlib import Path

import pytest

from tests.testing.projects import ran

HEAD = """
import asyncio, threading, time
import pytest
MOBILE, CONTENT = "13900000000", "您的验证码是：1234。"
"""
LAST = """
def test_afterwards_everything_is_as_ever(ihuyi_client, ihuyi_simulator):
    asyncio.run(ihuyi_client.submit(MOBILE, CONTENT))
    assert ihuyi_simulator.rung().total() == 1
"""

HANGS = """
class Blocks:
    def post(self, url, *, content, headers):
        threading.Event().wait()

def test_a(ihuyi_client, ihuyi_simulator, ihuyi_clock):
    ihuyi_simulator.pushes_to(Blocks())
    asyncio.run(ihuyi_client.submit(MOBILE, CONTENT))
    ihuyi_clock.advance(1)
    with pytest.raises(TimeoutError):
        ihuyi_simulator.deliver_now(0.2)

async def never(scope, receive, send):
    await asyncio.Event().wait()

@pytest.mark.asyncio
async def test_b(ihuyi_client, ihuyi_simulator):
    ihuyi_simulator.pushes_to(never)
    await ihuyi_client.submit(MOBILE, CONTENT)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await ihuyi_simulator.deliver()
"""


@pytest.mark.slow
def test_an_app_that_never_answers_holds_up_no_session(tmp_path: Path) -> None:
    """Nor does one whose client blocks a thread: the next test begins, and pytest ends."""
    done = ran(tmp_path, HEAD + HANGS + LAST, "asyncio")
    assert done.counts == {"passed": 3}, done.output


EXITS = """
async def app(scope, receive, send):
    raise SystemExit(3)

class Exits:
    def post(self, url, *, content, headers):
        raise SystemExit(3)

@pytest.mark.asyncio
async def test_a(ihuyi_client, ihuyi_simulator, caplog):
    ihuyi_simulator.pushes_to(app)
    await ihuyi_client.submit(MOBILE, CONTENT)
    assert await ihuyi_simulator.deliver() == 3
    assert not any(each.acknowledged for each in ihuyi_simulator.pushes)
    assert caplog.text.count("the app under test raised SystemExit") == 3

def test_b(ihuyi_client, ihuyi_simulator):
    ihuyi_simulator.pushes_to(Exits())
    asyncio.run(ihuyi_client.submit(MOBILE, CONTENT))
    assert ihuyi_simulator.deliver_now() == 3
"""


@pytest.mark.slow
def test_an_app_that_ends_the_program_has_not_heard_the_push(tmp_path: Path) -> None:
    """It ends neither pytest nor the simulator of the tests that follow."""
    done = ran(tmp_path, HEAD + EXITS + LAST, "asyncio")
    assert done.counts == {"passed": 3}, done.output


POLICY = """
import warnings

warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.14 would rather have no policies

class One(asyncio.DefaultEventLoopPolicy):
    one = None

    def new_event_loop(self):
        assert threading.current_thread() is threading.main_thread()
        One.one = One.one or super().new_event_loop()
        return One.one

asyncio.set_event_loop_policy(One())

def test_a(ihuyi_client, ihuyi_simulator):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(ihuyi_client.submit(MOBILE, CONTENT))
    assert ihuyi_simulator.rung().total() == 1
"""


@pytest.mark.slow
def test_a_policy_of_the_projects_is_the_projects_alone(tmp_path: Path) -> None:
    """One loop for all, made by the main thread only: the simulator's thread asks for none."""
    done = ran(tmp_path, HEAD + POLICY)
    assert done.counts == {"passed": 1}, done.output
