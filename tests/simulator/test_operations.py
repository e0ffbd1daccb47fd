"""The vendor's checks, texts, templates, signing and limits, in process (sections 2 to 5, 7)."""

from hashlib import md5
from pathlib import Path
from typing import Any

import httpx
import pytest

from ihuyi_voice.simulator import ManualClock, Simulator, tables
from ihuyi_voice.simulator.vendor import Vendor

SAMPLES = Path(__file__).parent.parent / "samples"
ROWS = [line.split(" | ") for line in (SAMPLES / "codes.txt").read_text("utf-8").splitlines()]
TEXTS = {(operation, int(code)): text for operation, code, text in ROWS}
MOBILE = "13900000000"
CONTENT = "您的订单号是：9633。"
TEMPLATE = "您的订单号是：【变量】。"
OPERATIONS = ("Submit", "GetNum", "AddTemplate", "DelTemplate")
USUAL = {"Submit": {"mobile": MOBILE, "content": CONTENT}, "AddTemplate": {"content": "新"}}


async def ask(simulator: Simulator, method: str, **fields: str) -> httpx.Response:
    """Make one request with a plain key unless told otherwise."""
    form = {"account": simulator.account, "password": simulator.api_key, **fields}
    transport = httpx.ASGITransport(app=simulator)
    async with httpx.AsyncClient(transport=transport) as client:
        url = f"http://vendor.test/webservice/voice.php?method={method}"
        return await client.post(url, data=form)


async def reply(simulator: Simulator, method: str = "Submit", **fields: str) -> dict[str, Any]:
    """Return the reply to one request, valid but for `fields`."""
    form = {**USUAL.get(method, {}), **fields, "format": "json"}
    found: dict[str, Any] = (await ask(simulator, method, **form)).json()
    return found


async def code(simulator: Simulator, method: str = "Submit", **fields: str) -> int:
    """Return the code of one request, valid but for `fields`."""
    return int((await reply(simulator, method, **fields))["code"])


def signed(text: str) -> str:
    """Return a dynamic password (section 7)."""
    return md5(text.encode()).hexdigest()  # noqa: S324 - section 7


CASES: list[tuple[str, dict[str, Any], dict[str, str], int]] = [
    *((operation, {}, {"account": ""}, 401) for operation in OPERATIONS),
    *((operation, {}, {"password": ""}, 402) for operation in OPERATIONS),
    *((operation, {}, {"account": "other"}, 405) for operation in OPERATIONS),
    *((operation, {}, {"password": "wrong"}, 405) for operation in OPERATIONS),
    ("Submit", {}, {"mobile": ""}, 403),
    *(
        ("Submit", {}, {"mobile": mobile}, 406)
        for mobile in (
            "12345",
            "12900000000",
            "139000000000",
            "1390000000x",
            "１３９００００００００",
        )
    ),
    *(("Submit", {}, {"mobile": mobile}, 2) for mobile in ("19900000000", "02151000029")),
    ("Submit", {"blacklist": [MOBILE]}, {}, 4030),
    ("Submit", {"blacklist": [MOBILE]}, {"mobile": "13911111111"}, 2),
    ("Submit", {}, {"content": ""}, 404),
    ("Submit", {"sensitive_words": ["订单"]}, {}, 407),
    ("Submit", {"sensitive_words": ["别的"]}, {}, 2),
    ("Submit", {"templates": []}, {}, 4071),
    ("Submit", {"templates": ["别的【变量】"]}, {}, 4072),
    ("Submit", {"templates": [TEMPLATE]}, {"content": f"{CONTENT}再见"}, 4072),
    ("Submit", {"templates": [TEMPLATE]}, {"content": "您的订单号是：96-33。"}, 4072),
    ("Submit", {"templates": [TEMPLATE], "max_value_length": 3}, {}, 40722),
    ("Submit", {"templates": [TEMPLATE], "max_value_length": 4}, {}, 2),
    ("Submit", {"templates": ["别的", TEMPLATE]}, {}, 2),
    ("Submit", {"templates": ["a.c【变量】"]}, {"content": "abc1"}, 4072),
    ("Submit", {"balance": 0}, {}, 4051),
    ("Submit", {"balance": 1}, {}, 2),
    ("GetNum", {"balance": 0}, {}, 2),
    ("AddTemplate", {}, {"content": ""}, 404),
    ("AddTemplate", {"sensitive_words": ["新"]}, {}, 407),
    ("AddTemplate", {"templates": ["新"]}, {}, 408),
    ("AddTemplate", {"templates": ["旧"]}, {}, 2),
    ("DelTemplate", {}, {}, 404),
    ("DelTemplate", {"templates": ["新"]}, {"templateid": "1"}, 404),
    ("DelTemplate", {"templates": ["新"]}, {"templateid": "100001"}, 2),
]


@pytest.mark.parametrize(("operation", "options", "fields", "expected"), CASES)
async def test_each_cause_has_the_documents_code_and_text(
    operation: str, options: dict[str, Any], fields: dict[str, str], expected: int
) -> None:
    """And a failure has an id of 0, a deletion none."""
    answer = await reply(Simulator(**options), operation, **fields)
    assert (answer["code"], answer["msg"]) == (expected, TEXTS[operation, expected])
    if operation == "DelTemplate":
        assert answer.keys() == {"code", "msg"}
    else:
        value = answer[
            {"Submit": "voiceid", "GetNum": "num", "AddTemplate": "templateid"}[operation]
        ]
        assert isinstance(value, str)
        assert (value == "0") is (expected != 2 or options.get("balance") == 0)


def test_the_texts_are_the_documents() -> None:
    """All four tables, row by row, and no row more."""
    ours = {(operation, row): text for operation in OPERATIONS
            for row, text in tables.TEXTS[operation].items()}  # fmt: skip
    assert ours == TEXTS


async def test_the_checks_have_an_order() -> None:
    """Whoever mends one cause after the other sees them in this order."""
    simulator = Simulator(balance=0, templates=[], sensitive_words=["坏"], blacklist=[MOBILE])
    simulator.vendor.frozen = True
    form = {"account": "", "password": "", "mobile": "", "content": ""}
    seen = [await code(simulator, **form)]
    for mended in (
        {"account": "other"},
        {"password": "wrong"},
        {"account": simulator.account, "password": simulator.api_key},
    ):
        form |= mended
        seen.append(await code(simulator, **form))
    simulator.vendor.frozen = False
    for mended in (
        {},
        {"mobile": "1"},
        {"mobile": MOBILE},
        {"mobile": "13911111111"},
        {"content": "坏"},
        {"content": CONTENT},
    ):
        form |= mended
        seen.append(await code(simulator, **form))
    simulator.vendor.store_template(TEMPLATE, approved=True)
    seen.append(await code(simulator, **form))
    assert seen == [401, 402, 405, 4050, 403, 406, 4030, 404, 407, 4071, 4051]


async def test_the_balance_counts_down_with_what_was_accepted() -> None:
    """Refused submissions and other operations cost nothing."""
    simulator = Simulator(balance=3, limits=())
    for expected, method, fields in (
        ("3", "GetNum", {}),
        ("3", "Submit", {"mobile": "1"}),
        ("3", "AddTemplate", {}),
        ("2", "Submit", {}),
        ("1", "Submit", {}),
        ("0", "Submit", {}),
        ("0", "Submit", {}),
    ):
        await ask(simulator, method, **{**USUAL.get(method, {}), **fields})
        assert (await reply(simulator, "GetNum"))["num"] == expected
    assert await code(simulator) == 4051
    assert simulator.balance == 0


async def test_a_frozen_account_is_told_so_by_every_operation() -> None:
    """4050 账号被冻结."""
    simulator = Simulator()
    simulator.vendor.frozen = True
    for method in OPERATIONS:
        answer = await reply(simulator, method)
        assert (answer["code"], answer["msg"]) == (4050, TEXTS[method, 4050])


async def test_templates_are_added_audited_and_deleted() -> None:
    """Only an approved one lets submissions pass, and a deleted one no more."""
    simulator = Simulator(templates=(), limits=())
    added = await reply(simulator, "AddTemplate", content=TEMPLATE)
    assert added == {"code": 2, "msg": "添加成功", "templateid": "100001"}
    assert await code(simulator, "AddTemplate", content=TEMPLATE) == 408
    assert await code(simulator) == 4071
    assert simulator.approve("100001").content == TEMPLATE
    assert await code(simulator) == 2
    assert await code(simulator, "DelTemplate", templateid="100001") == 2
    assert await code(simulator, "DelTemplate", templateid="100001") == 404
    assert await code(simulator) == 4071
    assert (await reply(simulator, "AddTemplate", content=TEMPLATE))["templateid"] == "100002"


async def test_auto_approval_is_immediate() -> None:
    """For those who don't test the audit."""
    simulator = Simulator(templates=(), auto_approve=True)
    await ask(simulator, "AddTemplate", content=TEMPLATE)
    assert await code(simulator) == 2


async def test_several_variables_are_each_measured() -> None:
    """The longest one decides."""
    simulator = Simulator(
        templates=["客户【变量】将于【变量】天后过生日"], max_value_length=2, limits=()
    )
    assert await code(simulator, content="客户张茜将于2天后过生日") == 2
    assert await code(simulator, content="客户张茜将于200天后过生日") == 40722
    assert await code(simulator, content="客户欧阳张茜将于2天后过生日") == 40722
    assert await code(simulator, content="客户将于2天后过生日") == 4072


WINDOWS = [
    pytest.param(1, 1.0, 4080, id="second"),
    pytest.param(3, 60.0, 4081, id="minute"),
    pytest.param(10, 86_400.0, 4082, id="day"),
]


@pytest.mark.parametrize(("calls", "seconds", "expected"), WINDOWS)
async def test_a_window_opens_exactly_in_time(calls: int, seconds: float, expected: int) -> None:
    """Refused until the oldest call is as old as the window, accepted from that moment."""
    clock = ManualClock()
    simulator = Simulator(clock=clock)
    gap = seconds / 16  # binary fractions, exact on any clock; longer than the shorter windows
    for _ in range(calls):
        assert await code(simulator) == 2
        clock.advance(gap)
    clock.advance(seconds - calls * gap - 0.125)
    answer = await reply(simulator)
    assert (answer["code"], answer["msg"]) == (expected, TEXTS["Submit", expected])
    assert await code(simulator, mobile="13911111111") == 2
    clock.advance(0.125)
    assert await code(simulator) == 2


async def test_a_refused_call_does_not_count_in_the_windows() -> None:
    """Only accepted ones make a phone ring."""
    clock = ManualClock()
    simulator = Simulator(clock=clock)
    assert await code(simulator) == 2
    for _ in range(7):
        clock.advance(0.125)
        assert await code(simulator) == 4080
    clock.advance(0.125)
    assert await code(simulator) == 2


async def test_the_limits_can_be_set_and_left_out() -> None:
    """They are per account, and other daily limits than 10 occur."""
    clock = ManualClock()
    simulator = Simulator(clock=clock, limits=[(2, 10.0, 4085)])
    assert [await code(simulator) for _ in range(3)] == [2, 2, 4085]
    clock.advance(10.0)
    assert await code(simulator) == 2
    free = Simulator(clock=clock, limits=())
    assert [await code(free) for _ in range(20)] == [2] * 20


async def test_arrivals_carry_the_clocks_time_and_the_code() -> None:
    """And rung counts what made a phone ring, by number and content."""
    clock = ManualClock()
    simulator = Simulator(clock=clock)
    await code(simulator)
    clock.advance(0.5)
    await code(simulator)
    clock.advance(0.5)
    await code(simulator)
    await code(simulator, "AddTemplate")
    assert [(arrival.time - 1_767_225_600.0, arrival.operation, arrival.code, arrival.fault)
            for arrival in simulator.arrivals] == [
        (0.0, "Submit", 2, None), (0.5, "Submit", 4080, None), (1.0, "Submit", 2, None),
        (1.0, "AddTemplate", 2, None),
    ]  # fmt: skip
    assert simulator.rung() == {(MOBILE, CONTENT): 2}
    assert simulator.codes == {2: 3, 4080: 1}
    assert MOBILE not in repr(simulator.arrivals[0])


@pytest.mark.parametrize("method", OPERATIONS)
async def test_a_dynamic_password_is_the_documents_formula(method: str) -> None:
    """Account, key, mobile, content, time for Submit; account, key, time for all else."""
    time = "1451544941"
    long = f"VM00000000simulator-key{MOBILE}{CONTENT}{time}"
    short = f"VM00000000simulator-key{time}"
    right, wrong = (long, short) if method == "Submit" else (short, long)
    passed = 404 if method == "DelTemplate" else 2  # it names no template
    for password, fields, expected in (
        (signed(right), {"time": time}, passed),
        (signed(right).upper(), {"time": time}, passed),
        (signed(wrong), {"time": time}, 405),
        (signed(right), {"time": "1451544942"}, 405),
        (signed(right), {}, 405),
    ):
        assert await code(Simulator(), method, password=password, **fields) == expected


@pytest.mark.parametrize(
    "time", ["145154494", "14515449410", "1451544 41", "²²²²²²²²²²", "+451544941"]
)
async def test_time_is_ten_digits(time: str) -> None:
    """Section 2.3: 10位整型数字; anything else makes no password right."""
    simulator = Simulator(max_password_age=60.0)
    password = signed(f"VM00000000simulator-key{time}")
    assert await code(simulator, "GetNum", password=password, time=time) == 405


async def test_an_old_dynamic_password_is_refused_if_an_age_is_set() -> None:
    """40501, seen in the wild: past the age to the second, in both directions."""
    clock = ManualClock(now=2_000_000_000.0)
    simulator = Simulator(clock=clock, max_password_age=60.0)
    time = "2000000000"
    fields = {"password": signed(f"VM00000000simulator-key{time}"), "time": time}
    for moved, expected in ((60.0, 2), (1.0, 40501), (-122.0, 40501), (1.0, 2)):
        clock.advance(moved)
        assert await code(simulator, "GetNum", **fields) == expected
    clock.advance(1_000.0)
    assert await code(simulator, "GetNum") == 2
    assert await code(Simulator(clock=clock), "GetNum", **fields) == 2


@pytest.mark.parametrize(
    ("operation", "line", "said", "expected"),
    [
        ("Submit", 0, {"mobile": "138xxxxxxxx", "content": "1125"}, 406),  # not a real number
        ("GetNum", 1, {}, 2),
    ],
)
def test_signing_follows_the_documents_two_strings(
    operation: str, line: int, said: dict[str, str], expected: int
) -> None:
    """Section 7, with its sample account and key: the password is right, so the rest is judged."""
    text = (SAMPLES / "signing.txt").read_text().split()[line]
    vendor = Vendor("test", "1q784322ba1d9bb88d50cf5cdfd89k7d", ManualClock())
    fields = {"account": "test", "time": "1451544941", **said}
    assert vendor.answer(operation, {**fields, "password": signed(text)}).code == expected
    assert vendor.answer(operation, {**fields, "password": signed(text + "0")}).code == 405


async def test_xml_is_byte_shaped_as_the_capture() -> None:
    """But for the name of the id, which belongs to a sibling service."""
    captured = (SAMPLES / "submit_401.xml").read_bytes().replace(b"smsid", b"voiceid")
    assert (await ask(Simulator(), "Submit", account="")).content == captured


async def test_json_has_the_shape_of_the_capture() -> None:
    """Flat, an int code, a text id, raw UTF-8; the msg is the document's."""
    captured = (SAMPLES / "submit_406.json").read_text("utf-8").replace("smsid", "voiceid")
    ours = await ask(Simulator(), "Submit", mobile="1", content="x", format="json")
    assert ours.content.decode() == captured.replace("，格式为11位的数字.", "")


@pytest.mark.parametrize(
    ("method", "inside"),
    [
        ("Submit", "<msg>提交成功</msg>\n<voiceid>16842079209571520001</voiceid>"),
        ("GetNum", "<msg>查询成功</msg>\n<num>1000000</num>"),
        ("AddTemplate", "<msg>添加成功</msg>\n<templateid>100002</templateid>"),
        ("DelTemplate", "<msg>删除成功</msg>"),
    ],
)
async def test_every_operation_has_its_root_and_its_id(method: str, inside: str) -> None:
    """The document names AddTemplateResult for deletions too; ids may be above int64."""
    simulator = Simulator(templates=[TEMPLATE])
    fields = {"mobile": MOBILE, "content": CONTENT if method == "Submit" else "新"}
    root = "AddTemplateResult" if method == "DelTemplate" else f"{method}Result"
    found = await ask(simulator, method, templateid="100001", **fields)
    assert found.text == (
        f'<?xml version="1.0" encoding="utf-8"?>\n<{root} xmlns="http://106.ihuyi.com/">\n'
        f"<code>2</code>\n{inside}\n</{root}>\n"
    )


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
async def test_only_http_is_spoken(kind: str) -> None:
    """Lifespan and websockets are declined as ASGI asks."""

    async def never(*_: object) -> Any:
        raise AssertionError

    with pytest.raises(RuntimeError, match=f"HTTP only, not {kind}"):
        await Simulator()({"type": kind}, never, never)


def test_the_clock_stands_still_until_moved() -> None:
    """Forward and back, from 2026-01-01 00:00:00 UTC."""
    clock = ManualClock()
    assert (clock(), clock()) == (1_767_225_600.0,) * 2
    clock.advance(1.5)
    clock.advance(-0.5)
    assert clock() == 1_767_225_601.0
