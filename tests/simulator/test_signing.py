"""Keys and dynamic passwords, in process (section 7, and observed)."""

from urllib.parse import quote

import httpx
import pytest

from ihuyi_voice.simulator import ManualClock, Simulator
from ihuyi_voice.simulator.vendor import Vendor
from tests.simulator.asking import (
    CONTENT,
    MOBILE,
    OPERATIONS,
    SAMPLES,
    TEMPLATE,
    code,
    signed,
)


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


KEYS = ["simulator-key", signed("simulator-key"), signed("simulator-key").upper()]


@pytest.mark.parametrize("password", KEYS)
@pytest.mark.parametrize("fields", [{}, {"time": "1451544941"}])
async def test_templates_take_the_key_and_its_md5(password: str, fields: dict[str, str]) -> None:
    """With a time or without, and however old that is: the kit's document and clients have it."""
    simulator = Simulator(templates=[TEMPLATE], max_password_age=60.0)
    sent = {"password": password, **fields}
    assert await code(simulator, "AddTemplate", **sent) == 2
    assert await code(simulator, "DelTemplate", templateid="100001", **sent) == 2


@pytest.mark.parametrize("operation", ["Submit", "GetNum"])
async def test_only_templates_take_the_md5_of_the_key(operation: str) -> None:
    """405 elsewhere, where the document has the time in it."""
    assert await code(Simulator(), operation, password=signed("simulator-key")) == 405


@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "utf-16-le"])
async def test_a_content_is_signed_as_the_bytes_that_come(encoding: str) -> None:
    """Whatever the encoding of a client: the vendor hashes before it reads."""
    time, said = "1451544941", CONTENT.encode(encoding)
    password = signed(b"VM00000000simulator-key" + MOBILE.encode() + said + time.encode())
    form = f"account=VM00000000&password={password}&mobile={MOBILE}&time={time}"
    for content, expected in ((said, b"<code>2<"), (said + b"0", b"<code>405<")):
        assert expected in await post(f"{form}&content={quote(content)}")


async def test_gbk_signed_over_its_utf_8_is_wrong() -> None:
    """The vendor doesn't translate; and what it understood is what rang."""
    time = "1451544941"
    simulator = Simulator(templates=[TEMPLATE])
    form = f"account=VM00000000&mobile={MOBILE}&time={time}"
    said = CONTENT.encode("gbk")
    for signed_as, expected in ((CONTENT.encode(), b"<code>405<"), (said, b"<code>2<")):
        text = b"VM00000000simulator-key" + MOBILE.encode() + signed_as + time.encode()
        body = f"{form}&password={signed(text)}&content={quote(said)}"
        assert expected in await post(body, simulator)
    assert simulator.rung() == {(MOBILE, CONTENT): 1}


async def post(form: str, simulator: Simulator | None = None) -> bytes:
    """Return the reply to a submission that is escaped by hand."""
    transport = httpx.ASGITransport(app=simulator or Simulator())
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    async with httpx.AsyncClient(transport=transport) as client:
        url = "http://vendor.test/webservice/voice.php?method=Submit"
        return (await client.post(url, content=form, headers=kind)).content
