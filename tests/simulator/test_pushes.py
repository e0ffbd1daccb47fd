"""The vendor's pushes, heard by a receiver of a few lines: never by the one that they test."""

# One receiver is swapped for another from inside.
# pyright: reportPrivateUsage=false

import asyncio
import random

import httpx
import pytest

from ihuyi_voice.simulator import Arrival, ManualClock, PushFault, PushFaultKind, Simulator
from ihuyi_voice.simulator.server import serving
from tests.simulator.conftest import CONTENT, MOBILE, TOKEN, Ear, Stage, options

TABLE = [  # section 6.2, copied from the document
    (2, "成功"),
    (0, "未知错误"),
    (-1, "关机"),
    (-2, "停机"),
    (-3, "暂时无法接通"),
    (-4, "正在通话"),
    (-5, "空号"),
    (-6, "无人接听"),
    (-8, "呼入限制"),
    (-9, "网络忙"),
    (-10, "呼出限制"),
    (-11, "线路忙"),
    (-12, "用户拒接"),
]


@options(report_delay=3.0)
async def test_a_report_is_pushed_after_its_delay(stage: Stage) -> None:
    """As section 6.2 has it: POST, a form, the six fields, China's time."""
    voice_id = await stage.submit()
    assert stage.simulator.next_push == stage.clock() + 3.0
    assert await stage.later(2.9) == 0
    assert await stage.later(0.2) == 1
    (form,) = stage.ear.forms
    assert 5 <= int(form.pop("talktime")) <= 60
    assert form == {
        "code": "2",
        "msg": "成功",
        "mobilephone": MOBILE,
        "voiceid": voice_id,
        "report_time": "2026-01-01 08:00:03",
    }
    assert stage.ear.kinds == {b"application/x-www-form-urlencoded"}
    assert stage.ear.paths == {f"POST /{TOKEN}"}
    assert stage.simulator.next_push is None


@pytest.mark.parametrize(("code", "text"), TABLE)
async def test_every_end_of_a_call_can_be_chosen(code: int, text: str) -> None:
    """With the table's text; only who answered has talked."""
    ear, clock = Ear(), ManualClock()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=ear)) as heard:
        simulator = Simulator(
            clock=clock, push_to="http://ear.test/x", push_client=heard, results=code
        )
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=simulator)) as web:
            await Stage(simulator, clock, ear, web).submit()
        clock.advance(1.0)
        await simulator.push_due()
    (form,) = ear.forms
    assert (form["code"], form["msg"]) == (str(code), text)
    assert (form["talktime"] == "0") is (code != 2)


@options(results={MOBILE: -6, "13911111111": (-6, 2)}, report_interval=30.0)
async def test_calls_may_end_by_number_and_more_than_once(stage: Stage) -> None:
    """Several reports of one call, each with its time; who isn't named picks up."""
    for mobile in (MOBILE, "13911111111", "13922222222"):
        await stage.submit(mobile)
    assert await stage.later(1.0) == 3
    assert await stage.later(30.0) == 1
    told = [(form["mobilephone"], form["code"], form["report_time"]) for form in stage.ear.forms]
    assert sorted(told[:3]) == [
        (MOBILE, "-6", "2026-01-01 08:00:01"),
        ("13911111111", "-6", "2026-01-01 08:00:01"),
        ("13922222222", "2", "2026-01-01 08:00:01"),
    ]
    assert told[3] == ("13911111111", "2", "2026-01-01 08:00:31")


def busy_or_silent(arrival: Arrival) -> int | list[int]:
    """Decide how a call ends."""
    return -4 if arrival.mobile == MOBILE else []


@options(results=busy_or_silent)
async def test_calls_may_end_as_a_function_says(stage: Stage) -> None:
    """It is given the arrival, and may say that no report comes at all."""
    await stage.submit()
    await stage.submit("13911111111")
    assert await stage.later(1.0) == 1
    assert stage.ear.forms[0]["code"] == "-4"


@pytest.mark.parametrize(
    "answer",
    [(500, b""), (404, b"success"), (201, b"success"), (200, b"SUCCESS"), (200, b"success\n"),
     (200, b""), (302, b"success")],
)  # fmt: skip
async def test_a_push_is_tried_three_times(stage: Stage, answer: tuple[int, bytes]) -> None:
    """60 and then 120 seconds apart, byte for byte the same, and never a fourth time."""
    stage.ear.answers = [answer] * 3
    await stage.submit()
    start = stage.clock()
    steps = [await stage.later(step) for step in (1.0, 59.9, 0.1, 119.9, 0.1, 10_000.0)]
    assert steps == [1, 0, 1, 0, 1, 0]
    assert len(set(stage.ear.heard)) == 1
    tries = stage.simulator.pushes
    assert [each.time - start for each in tries] == pytest.approx([1.0, 61.0, 181.0])
    told = [(each.number, each.status, each.acknowledged) for each in tries]
    assert told == [(number, answer[0], False) for number in (1, 2, 3)]


async def test_success_ends_the_tries(stage: Stage) -> None:
    """Whenever it comes."""
    stage.ear.answers = [(503, b"")]
    voice_id = await stage.submit()
    assert [await stage.later(step) for step in (1.0, 60.0, 120.0)] == [1, 1, 0]
    last = stage.simulator.pushes[-1]
    assert (last.kind, last.subject, last.number, last.acknowledged) == (
        "report",
        voice_id,
        2,
        True,
    )
    assert MOBILE not in repr(last)


async def test_a_receiver_that_breaks_has_not_heard(stage: Stage) -> None:
    """Nor one that can't be reached at all."""

    async def broken(*_: object) -> None:
        raise ValueError

    stage.simulator._pusher._client = httpx.AsyncClient(transport=httpx.ASGITransport(app=broken))
    await stage.submit()
    assert await stage.later(1.0) == 1
    assert [(each.status, each.acknowledged) for each in stage.simulator.pushes] == [(None, False)]


def censor(content: str) -> str | None:
    """Audit a template."""
    return "含有敏感字符" if "赌" in content else None


@options(audit=censor, templates=[])
async def test_audits_go_by_a_rule(stage: Stage) -> None:
    """Approved templates let submissions pass from then on, and the reason comes with the push."""
    good, bad = await stage.add("您好，【变量】。"), await stage.add("赌【变量】。")
    assert (await stage.ask(method="Submit", mobile=MOBILE, content="您好，a。"))["code"] == 4071
    assert await stage.later(1.0) == 2
    assert sorted(stage.ear.forms, key=lambda form: form["templateid"]) == [
        {"code": "2", "msg": "成功", "templateid": good},
        {"code": "0", "msg": "含有敏感字符", "templateid": bad},
    ]
    assert (await stage.ask(method="Submit", mobile=MOBILE, content="您好，a。"))["code"] == 2
    assert (await stage.ask(method="Submit", mobile=MOBILE, content="赌a。"))["code"] == 4072


@options(templates=[])
async def test_audits_may_be_made_by_hand(stage: Stage) -> None:
    """And are pushed at once."""
    first, second = await stage.add("您好，【变量】。"), await stage.add("再见，【变量】。")
    assert await stage.later(1.0) == 0
    stage.simulator.approve(first)
    stage.simulator.reject(second, "格式不正确")
    assert await stage.later(0.0) == 2
    assert {form["msg"] for form in stage.ear.forms} == {"成功", "格式不正确"}
    assert (await stage.ask(method="Submit", mobile=MOBILE, content="再见，a。"))["code"] == 4072


@options(auto_approve=True)
async def test_nobody_hears_of_a_template_that_was_deleted(stage: Stage) -> None:
    """Others are audited all the same."""
    gone, kept = await stage.add(), await stage.add("再见，【变量】。")
    await stage.ask(method="DelTemplate", templateid=gone)
    assert await stage.later(1.0) == 1
    assert stage.ear.forms == [{"code": "2", "msg": "成功", "templateid": kept}]


async def test_a_duplicate_is_sent_twice_at_once(stage: Stage) -> None:
    """Though the first is acknowledged; the next push is not."""
    fault = stage.simulator.add_push_fault(PushFault("duplicate", operation="report", times=1))
    await stage.submit()
    await stage.submit("13911111111")
    assert await stage.later(1.0) == 2
    assert len(stage.ear.heard) == 3
    assert len(set(stage.ear.heard)) == 2
    assert (fault.kind, fault.hits) == (PushFaultKind.DUPLICATE, 1)


async def test_a_late_push_is_overtaken(stage: Stage) -> None:
    """Its time stays what it was."""
    stage.simulator.add_push_fault(PushFault("late", mobile=MOBILE, seconds=5.0))
    await stage.submit()
    stage.clock.advance(1.0)
    await stage.submit("13911111111")
    assert [await stage.later(step) for step in (1.0, 3.9, 0.1)] == [1, 0, 1]
    told = [(form["mobilephone"], form["report_time"][-2:]) for form in stage.ear.forms]
    assert told == [("13911111111", "02"), (MOBILE, "01")]


async def test_an_answer_may_be_lost(stage: Stage) -> None:
    """The receiver has heard, and hears again."""
    stage.simulator.add_push_fault(PushFault("answer_lost", times=1))
    await stage.submit()
    assert [await stage.later(step) for step in (1.0, 60.0, 120.0)] == [1, 1, 0]
    assert len(stage.ear.heard) == 2


async def test_a_try_may_be_lost(stage: Stage) -> None:
    """The receiver hears the next one; without faults everything arrives."""
    stage.simulator.add_push_fault(PushFault("lost"))
    await stage.submit()
    assert await stage.later(1.0) == 1
    assert not stage.ear.heard
    stage.simulator.clear_faults()
    assert await stage.later(60.0) == 1
    assert len(stage.ear.heard) == 1


async def test_nothing_is_queued_for_nobody(stage: Stage) -> None:
    """Without an address, a million calls cost no memory."""
    stage.simulator.push_to = ""
    await stage.submit()
    assert stage.simulator.next_push is None


async def test_what_is_queued_waits_for_an_address(stage: Stage) -> None:
    """And goes to the new one."""
    await stage.submit()
    stage.simulator.push_to = ""
    assert await stage.later(1.0) == 0
    stage.simulator.push_to = "http://ear.test/other"
    assert await stage.later(0.0) == 1
    assert stage.ear.paths == {"POST /other"}


async def test_pushing_follows_the_clock_that_is_moved(stage: Stage) -> None:
    """In the background, while inside."""
    stage.ear.answers = [(503, b"")]
    async with stage.simulator.pushing():
        await stage.submit()
        stage.clock.advance(1.0)
        await stage.simulator.pushed(1)
        stage.clock.advance(60.0)
        await stage.simulator.pushed(2)
    assert [each.number for each in stage.simulator.pushes] == [1, 2]


async def test_a_restart_keeps_what_is_queued(stage: Stage) -> None:
    """Also a push that was in flight, whose try then doesn't count; no task is left behind."""
    before = asyncio.all_tasks()
    stage.ear.silent = True
    async with stage.simulator.pushing():
        await stage.submit()
        stage.clock.advance(1.0)
        await stage.ear.news.wait()
    assert asyncio.all_tasks() == before
    assert not stage.simulator.pushes
    stage.ear.silent = False
    async with stage.simulator.pushing():
        await stage.simulator.pushed(1)
    assert [(each.number, each.acknowledged) for each in stage.simulator.pushes] == [(1, True)]


async def test_a_push_that_is_cancelled_is_still_queued(stage: Stage) -> None:
    """By the test that moves the clock, for example."""
    stage.ear.silent = True
    await stage.submit()
    stage.clock.advance(1.0)
    pushing = asyncio.create_task(stage.simulator.push_due())
    await stage.ear.news.wait()
    pushing.cancel()
    await asyncio.gather(pushing, return_exceptions=True)
    stage.ear.silent = False
    assert await stage.simulator.push_due() == 1
    assert stage.simulator.pushes[-1].acknowledged


async def test_pushes_go_over_real_sockets_by_real_time(caplog: pytest.LogCaptureFixture) -> None:
    """While the simulator is served; one that has gone has not heard; no log shows its secret."""
    caplog.set_level("DEBUG")
    ear = Ear()
    simulator = Simulator(report_delay=0.01, report_jitter=0.01, limits=())
    async with simulator.serve() as url, httpx.AsyncClient() as web:
        form = {"account": simulator.account, "password": simulator.api_key, "content": CONTENT}
        async with serving(ear) as address:
            simulator.push_to = f"{address}/{TOKEN}"
            for place in range(20):
                mobile = {"mobile": f"1390000{place:04d}"}
                await web.post(f"{url}?method=Submit", data=form | mobile)
            await simulator.pushed(20)
        assert len({form["voiceid"] for form in ear.forms}) == 20
        await web.post(f"{url}?method=Submit", data=form | {"mobile": MOBILE})
        await simulator.pushed(21)
    assert [each.acknowledged for each in simulator.pushes] == [True] * 20 + [False]
    assert TOKEN not in caplog.text


async def test_the_same_seed_gives_the_same_pushes() -> None:
    """Talk times and jitter are made up, but not anew each time."""

    async def forms() -> list[dict[str, str]]:
        ear, clock = Ear(), ManualClock()
        chance = random.Random(7)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=ear)) as heard:
            simulator = Simulator(
                clock=clock,
                push_to="http://ear.test/x",
                push_client=heard,
                report_jitter=50.0,
                results=lambda _: chance.choice([2, -6]),
                limits=(),
            )
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=simulator)) as web:
                stage = Stage(simulator, clock, ear, web)
                for place in range(10):
                    await stage.submit(f"1390000{place:04d}")
                for _ in range(60):
                    await stage.later(1.0)
        return ear.forms

    assert (first := await forms()) == await forms()
    assert len({form["report_time"] for form in first}) > 1
