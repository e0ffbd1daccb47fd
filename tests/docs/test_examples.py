"""What the examples of README and of the pages promise, held against the vendor's record."""

import asyncio
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from ihuyi_voice import OutcomeStatus, VoiceClient
from ihuyi_voice.simulator import Fault, Simulator
from tests.docs.examples import MANY, PAGES, README, examples
from tests.pushes.servers import serving
from tests.pushes.support import states

EXAMPLES = examples(README, *PAGES, language="python")


def run(mark: str) -> ModuleType:
    """Execute the first example that has a certain text in it, and return it as a module."""
    return next(found for found in EXAMPLES if mark in found.code).execute()


async def test_the_web_app_calls_and_tells_its_own_caller_what_became_of_it(
    vendor: Simulator,
) -> None:
    """An order rings; a wrong number is 422, a busy one and 4051 are 503, a lost reply is 202."""
    app = run("# app.py").app
    web = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://app.test")
    async with app.router.lifespan_context(app), web:
        called = await web.post("/orders/9633/call", json={"mobile": "13900000000"})
        assert called.status_code == 200
        assert called.json()["voice_id"]
        assert vendor.arrivals[-1].content.startswith("您的订单号是：9633。")
        vendor.add_fault(Fault("code", code=4082))
        held = await web.post("/orders/9633/call", json={"mobile": "13911111111"})
        assert held.status_code == 503
        vendor.clear_faults()
        vendor.add_fault(Fault("disconnect_after"))
        lost = await web.post("/orders/9633/call", json={"mobile": "13922222222"})
        assert lost.status_code == 202
        vendor.clear_faults()
        wrong = await web.post("/orders/9633/call", json={"mobile": "1390000"})
        assert wrong.status_code == 422
        vendor.vendor.balance = 0
        empty = await web.post("/orders/9633/call", json={"mobile": "13933333333"})
        assert (empty.status_code, empty.json()["code"]) == (503, 4051)


async def test_the_web_app_of_the_front_door_never_answers_500(
    vendor: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Once is once; a wrong number is 422, an empty account 503, a lost reply 202."""
    monkeypatch.chdir(tmp_path)
    app = next(each for each in EXAMPLES if "FastAPI(" in each.code).execute().app
    web = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://app.test")

    async def answer(order: int, mobile: str) -> int:
        told = await web.post(f"/orders/{order}/shipped", params={"mobile": mobile})
        return told.status_code

    async with app.router.lifespan_context(app), web:
        assert [await answer(1, "13900000000") for _ in range(2)] == [200, 200]
        assert await answer(2, "1390000") == 422
        vendor.add_fault(Fault("disconnect_after", times=1))
        assert [await answer(3, "13911111111") for _ in range(2)] == [202, 202]
        vendor.vendor.balance = 0
        assert await answer(4, "13922222222") == 503
    assert sorted(vendor.rung().values()) == [1, 1]


def test_the_bulk_example_sends_a_thousand(
    vendor: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """And prints the summary."""
    run("max_wait=120.0")
    assert f"{OutcomeStatus.ACCEPTED!r}: {MANY}" in capsys.readouterr().out
    assert len(vendor.rung()) == MANY


async def test_the_orders_example_rings_once_however_often_it_is_asked(
    vendor: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At once, again, and after a restart; a lost reply is never made up for by a second ring."""
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        app = run("# orders.py").app
        web = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://app.test")
        async with app.router.lifespan_context(app), web:
            to = {"mobile": "13900000000"}
            twice = (web.post("/orders/9633/shipped", json=to) for _ in range(2))
            both = await asyncio.gather(*twice)
            assert [answer.status_code for answer in both] == [200, 200]
            assert len({answer.json()["voice_id"] for answer in both}) == 1
            vendor.add_fault(Fault("disconnect_after"))
            for _ in range(2):
                lost = await web.post("/orders/9634/shipped", json={"mobile": "13922222222"})
                assert lost.status_code == 202
            vendor.clear_faults()
    assert sorted(vendor.rung().values()) == [1, 1]


def test_the_nightly_example_goes_on_by_being_run_again(
    vendor: Simulator,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Twice in a row, everybody is called once."""
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        run("async def nightly()")
        assert f"{OutcomeStatus.ACCEPTED!r}: {MANY}" in capsys.readouterr().out
    assert vendor.rung().total() == MANY


async def test_the_simulator_example_is_a_test_that_passes() -> None:
    """As it would in a user's own suite."""
    await run("test_a_lost_reply_without").test_a_lost_reply_without_a_plugin()


async def test_the_reports_example_tells_how_a_call_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over real sockets: the vendor pushes, the app answers, handles, and tells."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IHUYI_PUSH_TOKEN", "s3cret")
    module = run("# reports.py")
    simulator = Simulator(results=-6, report_delay=0.0, audit_delay=0.0, auto_approve=True)
    async with serving(module.app) as address, httpx.AsyncClient() as web:
        simulator.push_to = f"{address}/ihuyi/s3cret"
        async with simulator.serve() as url:
            async with VoiceClient(simulator.account, simulator.api_key, base_url=url) as client:
                voice_id = (await client.submit("13900000000", "您好。")).voice_id
                told = await web.get(f"{address}/calls/{voice_id}")
                template_id = (await client.add_template("您好，【变量】。")).template_id
                await module.inbox.audit_of(template_id, timeout=30)
                await states(module.inbox, handled=2)
    assert told.json() == {"answered": False, "status": "no_answer", "text": "无人接听"}
    printed = capsys.readouterr().out.splitlines()
    assert printed == [f"{voice_id} no_answer 0 s", f"{template_id} approved"]


def test_the_chinese_example_calls_and_asks_for_the_balance(
    vendor: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the simulator, which stands where the vendor would."""
    run('VoiceClient("VM12345678", "api-key")')
    assert capsys.readouterr().out.endswith(" 999999\n")


async def test_the_mocked_example_sends_nothing_and_has_its_answer() -> None:
    """On the client as it comes, at the vendor's own address."""
    await run("respx.mock").test_a_content_that_follows_no_template()
