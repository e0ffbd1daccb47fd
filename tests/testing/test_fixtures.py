"""The fixtures work in every kind of test: under pytest-asyncio, anyio's plugin, without a loop.

Each case is a project of a user's, with plugins of its own choice, where warnings are errors.
"""

from pathlib import Path

import pytest

from tests.testing.projects import ran

COMMON = """
import asyncio
import time
from pathlib import Path

import pytest

from ihuyi_voice import OutcomeStatus, RateLimited, VoiceClient
from ihuyi_voice.pushes import Inbox, PushReceiver
from ihuyi_voice.testing import ServedSimulator, SharedClock

MOBILE, CONTENT = "13900000000", "您的订单号是：9633。"
"""
TESTS = """
@MARK
async def test_a_call_arrives(ihuyi_client, ihuyi_simulator):
    submission = await ihuyi_client.submit(MOBILE, CONTENT)
    assert submission.voice_id
    assert ihuyi_simulator.rung() == {(MOBILE, CONTENT): 1}
    assert await ihuyi_client.balance() == 999_999


@MARK
async def test_a_wait_passes_by_itself(ihuyi_client):
    began = time.monotonic()
    for _ in range(4):
        await ihuyi_client.submit(MOBILE, CONTENT, max_wait=60)
    assert time.monotonic() - began < 30


@MARK
async def test_max_wait_goes_by_the_same_clock(ihuyi_client):
    messages = [(MOBILE, f"{CONTENT}{n}") for n in range(5)]
    async with ihuyi_client.submit_many(messages, max_wait=30) as run:
        statuses = [outcome.status.value async for outcome in run]
    assert statuses == ["ACCEPTED"] * 3 + ["HELD"] * 2


@MARK
async def test_the_clock_is_in_the_hands_of_who_asks_for_it(ihuyi_client, ihuyi_clock):
    await ihuyi_client.submit(MOBILE, CONTENT)
    with pytest.raises(RateLimited):
        await ihuyi_client.submit(MOBILE, CONTENT)
    waiting = asyncio.create_task(ihuyi_client.submit(MOBILE, CONTENT, max_wait=60))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    ihuyi_clock.advance(1)
    assert (await waiting).voice_id


@MARK
async def test_a_run_waits_for_the_clock_too(ihuyi_client, ihuyi_clock):
    messages = [(MOBILE, CONTENT), (MOBILE, f"{CONTENT}。")]
    async with ihuyi_client.submit_many(messages, max_wait=60) as run:
        first = await anext(aiter(run))
        ihuyi_clock.advance(1)
        second = await anext(aiter(run))
    assert {first.status, second.status} == {OutcomeStatus.ACCEPTED}


@MARK
async def test_clients_of_the_app_share_the_clock(ihuyi_simulator):
    async with VoiceClient.from_env() as client:
        for _ in range(3):
            await client.submit(MOBILE, CONTENT, max_wait=5)
    assert ihuyi_simulator.rung().total() == 3


@MARK
async def test_pushes_reach_the_app(ihuyi_client, ihuyi_simulator, ihuyi_clock, tmp_path):
    async with Inbox.open(tmp_path / "pushes.db") as inbox:
        ihuyi_simulator.pushes_to(PushReceiver(inbox, token="s3cret"), "/s3cret")
        first = await ihuyi_client.submit(MOBILE, CONTENT)
        ihuyi_clock.advance(1)
        await ihuyi_simulator.pushed()
        assert (await inbox.report_of(first.voice_id, timeout=5)).answered
        second = await ihuyi_client.submit(MOBILE, CONTENT)
        assert await ihuyi_simulator.deliver() == 2
        assert (await inbox.report_of(second.voice_id, timeout=5)).answered


@MARK
@pytest.mark.ihuyi(balance=0, timeout=3.0)
async def test_a_mark_has_options_of_both(ihuyi_client, ihuyi_simulator):
    assert ihuyi_simulator.balance == 0
    assert ihuyi_client.http_client.timeout.read == 3.0
    assert await ihuyi_client.balance() == 0


@MARK
async def test_faults_and_audits(ihuyi_client, ihuyi_simulator):
    template = await ihuyi_client.add_template("您好，【变量】。")
    ihuyi_simulator.approve(template.template_id)
    assert ihuyi_simulator.vendor.templates[template.template_id].approved


def test_a_test_may_run_a_loop_of_its_own(ihuyi_client, ihuyi_simulator):
    asyncio.run(ihuyi_client.submit(MOBILE, CONTENT))
    ihuyi_simulator.wait_arrived()


def test_types(ihuyi_simulator, ihuyi_client, ihuyi_clock):
    assert isinstance(ihuyi_simulator, ServedSimulator)
    assert isinstance(ihuyi_client, VoiceClient)
    assert isinstance(ihuyi_clock, SharedClock)
    assert ihuyi_simulator.clock is ihuyi_clock
"""
KINDS = {
    "strict": ("@pytest.mark.asyncio", ("asyncio",), ("-o", "asyncio_mode=strict")),
    "auto": ("", ("asyncio",), ("-o", "asyncio_mode=auto")),
    "session": (
        '@pytest.mark.asyncio(loop_scope="session")',
        ("asyncio",),
        ("-o", "asyncio_mode=strict"),
    ),
    "anyio": ("@pytest.mark.anyio", ("anyio",), ()),
}
ANYIO = """
@pytest.fixture
def anyio_backend():
    return "asyncio"
"""


@pytest.mark.parametrize(
    "kind",
    [
        "auto",
        "anyio",
        pytest.param("strict", marks=pytest.mark.long),
        pytest.param("session", marks=pytest.mark.long),
    ],
)
def test_they_work_under(kind: str, tmp_path: Path) -> None:
    """Both modes of pytest-asyncio, one loop for all of its tests, and anyio's plugin."""
    mark, plugins, options = KINDS[kind]
    text = TESTS.replace("@MARK\n", f"{mark}\n" if mark else "")
    done = ran(tmp_path, COMMON + ANYIO + text, *plugins, options=options)
    assert done.counts == {"passed": 11}, done.output


SYNC = """
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.testclient import TestClient


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def app_of(client=None):
    @asynccontextmanager
    async def lifespan(app):
        async with VoiceClient.from_env() as app.state.voice, Inbox.open("pushes.db") as inbox:
            app.mount("/ihuyi", PushReceiver(inbox, token="s3cret"))
            app.state.inbox = inbox
            yield

    app = FastAPI(lifespan=lifespan if client is None else None)

    @app.post("/call")
    async def call() -> str:
        voice = client or app.state.voice
        return (await voice.submit(MOBILE, CONTENT, max_wait=60)).voice_id

    @app.get("/calls/{voice_id}")
    async def how_it_ended(voice_id: str) -> bool:
        return (await app.state.inbox.report_of(voice_id, timeout=5)).answered

    return app


def test_an_app_opens_its_client_in_its_lifespan(ihuyi_simulator):
    with TestClient(app_of()) as web:
        ihuyi_simulator.pushes_to(web, "/ihuyi/s3cret")
        voice_id = web.post("/call").json()
        assert web.post("/call").json() != voice_id
        assert ihuyi_simulator.deliver_now() == 2
        assert web.get(f"/calls/{voice_id}").json() is True


def test_pushes_come_when_the_clock_is_moved(ihuyi_simulator, ihuyi_clock):
    with TestClient(app_of()) as web:
        ihuyi_simulator.pushes_to(web, "/ihuyi/s3cret")
        voice_id = web.post("/call").json()
        ihuyi_clock.advance(1)
        ihuyi_simulator.wait_pushed()
        assert web.get(f"/calls/{voice_id}").json() is True


def test_the_fixtures_client_works_in_the_loop_of_a_test_client(ihuyi_client):
    with TestClient(app_of(ihuyi_client)) as web:
        assert web.post("/call").json()


def test_a_client_that_outlives_its_loop_says_what_to_do(ihuyi_client):
    web = TestClient(app_of(ihuyi_client))
    assert web.post("/call").json()
    with pytest.raises(RuntimeError, match="with TestClient"):
        web.post("/call")


def test_an_app_without_a_loop_is_refused(ihuyi_simulator):
    with pytest.raises(RuntimeError, match="give the TestClient"):
        ihuyi_simulator.pushes_to(app_of())
    with pytest.raises(TypeError, match="not to int"):
        ihuyi_simulator.pushes_to(7)
"""


@pytest.mark.slow
def test_synchronous_tests_have_them_too(tmp_path: Path) -> None:
    """With Starlette's TestClient, whose loop runs in a thread."""
    done = ran(tmp_path, COMMON + SYNC)
    assert done.counts == {"passed": 5}, done.output


OF_THE_PROJECT = """
from ihuyi_voice import QuietHours

@pytest.fixture
def ihuyi_simulator(ihuyi_simulator):
    ihuyi_simulator.vendor.blacklist = frozenset({MOBILE})
    return ihuyi_simulator


@pytest.mark.asyncio
async def test_a_project_may_have_more_done_to_the_simulator(ihuyi_client):
    with pytest.raises(VendorError, match="4030"):
        await ihuyi_client.submit(MOBILE, CONTENT)


@pytest.mark.asyncio
async def test_quiet_hours_go_by_the_clock(ihuyi_simulator, ihuyi_clock):
    guard = QuietHours("00:00-12:00")
    ihuyi_clock.move_to(ihuyi_clock() // 86_400 * 86_400 + 2 * 86_400 - 8 * 3_600)  # midnight there
    assert guard.quiet_for() == 12 * 3_600
    ihuyi_clock.advance(12 * 3_600)
    assert guard.quiet_for() == 0
"""


@pytest.mark.slow
def test_what_a_project_adds_is_the_clients_too(tmp_path: Path) -> None:
    """A fixture of its own around ours; and guards of its own, whatever the hour of the test."""
    text = COMMON.replace("RateLimited,", "RateLimited, VendorError,") + OF_THE_PROJECT
    done = ran(tmp_path, text, "asyncio")
    assert done.counts == {"passed": 2}, done.output


ON_TRIO = """
@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@pytest.mark.anyio
async def test_it(ihuyi_client):
    await ihuyi_client.submit(MOBILE, CONTENT)
"""


@pytest.mark.long
def test_under_trio_it_is_told_what_to_do(tmp_path: Path) -> None:
    """The plugin of anyio runs each test under both, if it can and nobody says otherwise."""
    done = ran(tmp_path, COMMON + ON_TRIO, "anyio")
    assert done.counts == {"passed": 1, "error": 1}, done.output
    assert "let a fixture `anyio_backend` return" in done.output


WRONG = """
@pytest.mark.ihuyi(balanse=1)
def test_a_misspelt_option(ihuyi_simulator):
    pass


@pytest.mark.ihuyi(5)
def test_an_option_without_a_name(ihuyi_simulator):
    pass
"""


@pytest.mark.slow
def test_a_wrong_mark_is_told(tmp_path: Path) -> None:
    """With the option that was meant, perhaps."""
    done = ran(tmp_path, COMMON + WRONG)
    assert done.counts == {"error": 2}
    assert "has no option 'balanse': did you mean balance?" in done.output
    assert "takes options by name" in done.output


NEAREST = """
@pytest.mark.ihuyi(balance=1, blacklist=[MOBILE])
class TestMarks:
    @pytest.mark.ihuyi(balance=2)
    def test_the_nearest_wins(self, ihuyi_simulator):
        assert ihuyi_simulator.balance == 2
        assert MOBILE in ihuyi_simulator.vendor.blacklist


@pytest.mark.ihuyi(clock=time.time)
def test_the_clock_may_be_the_real_one(ihuyi_simulator):
    assert abs(ihuyi_simulator.clock() - time.time()) < 60
"""


@pytest.mark.slow
def test_marks_add_up(tmp_path: Path) -> None:
    """A function's wins over its class's."""
    done = ran(tmp_path, COMMON + NEAREST)
    assert done.counts == {"passed": 2}, done.output
