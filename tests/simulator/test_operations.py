"""The vendor's checks, balance and templates, in process (sections 2 to 5)."""

from typing import Any

import pytest

from ihuyi_voice.simulator import ManualClock, Simulator, tables
from tests.simulator.asking import (
    CONTENT,
    MOBILE,
    OPERATIONS,
    TEMPLATE,
    TEXTS,
    USUAL,
    ask,
    code,
    reply,
)

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


DATES = ["2026-11-25", "12:30", "2026/11/25", "12.50", "99.5%", "A-9633"]


@pytest.mark.parametrize("value", [*DATES, "-", "%"])
async def test_dates_decimals_and_percentages_are_values_if_variables_are_lenient(
    value: str,
) -> None:
    """The document names digits, letters and Chinese characters alone, so strict is the default."""
    said = f"您的订单号是：{value}。"
    strict = Simulator(templates=[TEMPLATE])
    lenient = Simulator(templates=[TEMPLATE], variables="lenient")
    assert await code(strict, content=said) == 4072
    assert await code(lenient, content=said) == 2


@pytest.mark.parametrize("value", ["", "96 33", "9633!", "a@b", "（一）", "9633\n", "①"])
async def test_other_signs_are_no_values_even_so(value: str) -> None:
    """Blanks, punctuation and symbols."""
    simulator = Simulator(templates=[TEMPLATE], variables="lenient")
    assert await code(simulator, content=f"您的订单号是：{value}。") == 4072


@pytest.mark.parametrize("value", ["9633", "SF1024", "顺风快递", "两A1"])
@pytest.mark.parametrize("variables", ["strict", "lenient"])
async def test_digits_letters_and_chinese_are_values_in_any_case(
    value: str, variables: Any
) -> None:
    """Section 1.6: 可以是 数字、字母、汉字."""
    simulator = Simulator(templates=[TEMPLATE], variables=variables)
    assert await code(simulator, content=f"您的订单号是：{value}。") == 2


async def test_lenient_values_are_measured_and_hold_for_templates_handed_in() -> None:
    """The longest one decides, as ever."""
    simulator = Simulator(
        templates=(), variables="lenient", auto_approve=True, max_value_length=10, limits=()
    )
    await ask(simulator, "AddTemplate", content=TEMPLATE)
    assert await code(simulator, content="您的订单号是：2026-11-25。") == 2
    assert await code(simulator, content="您的订单号是：2026-11-25-1。") == 40722


def test_variables_are_either_strict_or_lenient() -> None:
    """Anything else is refused when it is given."""
    with pytest.raises(ValueError, match="variables"):
        Simulator(variables="loose")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - the point


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


def test_the_clock_stands_still_until_moved() -> None:
    """Forward and back, from 2026-01-01 00:00:00 UTC."""
    clock = ManualClock()
    assert (clock(), clock()) == (1_767_225_600.0,) * 2
    clock.advance(1.5)
    clock.advance(-0.5)
    assert clock() == 1_767_225_601.0
