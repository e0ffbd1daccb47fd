"""The vendor's checks, texts and limits, in process (sections 2 to 5 and 7)."""

from hashlib import md5
from pathlib import Path
from typing import Any

import httpx
import pytest

from ihuyi_voice.simulator import ManualClock, Simulator
from ihuyi_voice.simulator.vendor import Answer, Vendor, write_reply

SAMPLES = Path(__file__).parent.parent / "samples"
MOBILE = "13900000000"
TEMPLATE = "您的订单号是：【变量】。"


async def ask(simulator: Simulator, method: str, **fields: str) -> httpx.Response:
    """Make one request with a plain key."""
    form = {"account": simulator.account, "password": simulator.api_key, **fields}
    transport = httpx.ASGITransport(app=simulator)
    async with httpx.AsyncClient(transport=transport) as client:
        url = f"http://vendor.test/webservice/voice.php?method={method}"
        return await client.post(url, data=form)


async def code(simulator: Simulator, method: str = "Submit", **fields: str) -> int:
    """Return the code of one request."""
    usual = {"mobile": MOBILE, "content": "您的订单号是：9633。"} if method == "Submit" else {}
    reply = await ask(simulator, method, **{**usual, **fields, "format": "json"})
    return int(reply.json()["code"])


@pytest.mark.parametrize(
    ("options", "fields", "expected", "text"),
    [
        ({}, {"account": ""}, 401, "帐号不能为空"),
        ({}, {"password": ""}, 402, "密码不能为空"),
        ({}, {"account": "other"}, 405, "用户名或密码不正确"),
        ({}, {"password": "wrong"}, 405, "用户名或密码不正确"),
        ({}, {"mobile": ""}, 403, "手机号码不能为空"),
        ({}, {"mobile": "12345"}, 406, "手机格式不正确"),
        ({"blacklist": [MOBILE]}, {}, 4030, "手机号码已被列入黑名单"),
        ({}, {"content": ""}, 404, "语音内容不能为空"),
        ({"sensitive_words": ["订单"]}, {}, 407, "短信内容含有敏感字符"),
        ({"templates": []}, {}, 4071, "没有提交备案模板"),
        (
            {"templates": ["别的【变量】"]}, {}, 4072,
            "提交的语音内容必须与报备过的模板格式相匹配",
        ),
        ({"templates": [TEMPLATE], "max_value_length": 3}, {}, 40722, "变量内容超过指定的长度"),
        ({"balance": 0}, {}, 4051, "剩余条数不足"),
        ({"templates": [TEMPLATE]}, {}, 2, "提交成功"),
        ({}, {"mobile": "02151000029"}, 2, "提交成功"),
    ],
)  # fmt: skip
async def test_a_submission_is_checked_in_order(
    options: dict[str, Any], fields: dict[str, str], expected: int, text: str
) -> None:
    """Code and text are those of section 2.5."""
    simulator = Simulator(**options)
    form = {"mobile": MOBILE, "content": "您的订单号是：9633。", "format": "json", **fields}
    reply = (await ask(simulator, "Submit", **form)).json()
    assert (reply["code"], reply["msg"]) == (expected, text)
    assert (reply["voiceid"] == "0") is (expected != 2)


async def test_the_balance_counts_down_with_what_was_accepted() -> None:
    """Refused submissions cost nothing."""
    simulator = Simulator(balance=2, limits=())
    assert [await code(simulator) for _ in range(3)] == [2, 2, 4051]
    reply = (await ask(simulator, "GetNum", format="json")).json()
    assert reply == {"code": 2, "msg": "查询成功", "num": "0"}


async def test_a_frozen_account_is_told_so_by_every_operation() -> None:
    """4050 账号被冻结."""
    simulator = Simulator()
    simulator.vendor.frozen = True
    for method in ("Submit", "GetNum", "AddTemplate", "DelTemplate"):
        assert await code(simulator, method) == 4050


async def test_templates_are_added_audited_and_deleted() -> None:
    """Only an approved one lets submissions pass."""
    simulator = Simulator(templates=(), sensitive_words=["坏"], limits=())
    added = (await ask(simulator, "AddTemplate", content=TEMPLATE, format="json")).json()
    assert (added["code"], added["msg"]) == (2, "添加成功")
    assert await code(simulator) == 4071
    simulator.approve(added["templateid"])
    assert await code(simulator) == 2
    assert await code(simulator, "AddTemplate", content=TEMPLATE) == 408
    assert await code(simulator, "AddTemplate", content="") == 404
    assert await code(simulator, "AddTemplate", content="坏") == 407
    assert await code(simulator, "DelTemplate", templateid=added["templateid"]) == 2
    assert await code(simulator, "DelTemplate", templateid=added["templateid"]) == 404
    assert await code(simulator, "DelTemplate") == 404


async def test_auto_approval_is_immediate() -> None:
    """For those who don't test the audit."""
    simulator = Simulator(templates=(), auto_approve=True)
    await ask(simulator, "AddTemplate", content=TEMPLATE)
    assert await code(simulator) == 2


async def test_the_limits_are_rolling_windows_on_the_clock() -> None:
    """1 a second, 3 a minute, 10 a day; each opens exactly in time."""
    clock = ManualClock()
    simulator = Simulator(clock=clock)
    assert [await code(simulator), await code(simulator)] == [2, 4080]
    clock.advance(0.999)
    assert await code(simulator) == 4080
    for _ in range(2):
        clock.advance(1.0)
        assert await code(simulator) == 2
    clock.advance(1.0)
    assert await code(simulator) == 4081
    assert await code(simulator, mobile="13911111111") == 2
    for _ in range(7):
        clock.advance(60.0)
        assert await code(simulator) == 2
    clock.advance(60.0)
    assert await code(simulator) == 4082
    clock.advance(86_400.0 - 483.0 + 0.001)
    assert await code(simulator) == 2


async def test_an_old_dynamic_password_is_refused_if_an_age_is_set() -> None:
    """40501, seen in the wild."""
    clock = ManualClock(now=2_000_000_000.0)
    simulator = Simulator(clock=clock, max_password_age=60.0)
    time = "1999999941"
    digest = md5(f"VM00000000simulator-key{time}".encode()).hexdigest()  # noqa: S324 - section 7
    assert await code(simulator, "GetNum", password=digest, time=time) == 2
    clock.advance(2.0)
    assert await code(simulator, "GetNum", password=digest, time=time) == 40501
    assert await code(simulator, "GetNum") == 2


def test_signing_follows_the_documents_two_strings() -> None:
    """Section 7, with its sample account and key."""
    submit, balance = (SAMPLES / "signing.txt").read_text().split()
    vendor = Vendor("test", "1q784322ba1d9bb88d50cf5cdfd89k7d", ManualClock())
    fields = {"account": "test", "time": "1451544941"}
    said = {"mobile": "138xxxxxxxx", "content": "1125"}
    for operation, text, extra in (("Submit", submit, said), ("GetNum", balance, {})):
        password = md5(text.encode()).hexdigest()  # noqa: S324 - section 7
        answer = vendor.answer(operation, {**fields, **extra, "password": password})
        assert answer.code != 405


def test_xml_is_byte_shaped_as_the_capture() -> None:
    """But for the name of the id, which belongs to a sibling service."""
    captured = (SAMPLES / "submit_401.xml").read_bytes().replace(b"smsid", b"voiceid")
    assert write_reply("Submit", Answer(401), "xml") == captured


def test_json_has_the_shape_of_the_capture() -> None:
    """Flat, an int code, a text id."""
    captured = (SAMPLES / "submit_406.json").read_text().replace("smsid", "voiceid")
    ours = write_reply("Submit", Answer(406), "json").decode()
    assert ours == captured.replace("，格式为11位的数字.", "")


def test_deletion_has_no_id_and_the_documents_root() -> None:
    """Section 5.3 names AddTemplateResult."""
    assert b"<AddTemplateResult" in write_reply("DelTemplate", Answer(2), "xml")
    assert write_reply("DelTemplate", Answer(404), "json").endswith(b'\xe5\xad\x98\xe5\x9c\xa8"}')


async def test_ids_have_twenty_digits() -> None:
    """Above int64, as seen in the wild."""
    reply = await ask(Simulator(), "Submit", mobile=MOBILE, content="x", format="json")
    assert len(reply.json()["voiceid"]) == 20


async def test_only_http_is_spoken() -> None:
    """Lifespan and websockets are declined as ASGI asks."""
    with pytest.raises(RuntimeError, match="lifespan"):
        await Simulator()({"type": "lifespan"}, _never, _never)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - never called


async def _never() -> None:
    raise AssertionError
