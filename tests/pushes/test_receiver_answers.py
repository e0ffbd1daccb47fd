"""The receiver, ASGI event by event: `success` for what is stored, and for nothing else."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest

from ihuyi_voice import InvalidRequest
from ihuyi_voice.models import DELIVERY_STATUSES
from ihuyi_voice.protocol.pushes import Push
from ihuyi_voice.pushes import DeliveryStatus, Inbox, PushReceiver
from tests.pushes.requests import TOKEN, Gate, form, push, status
from tests.pushes.support import FORM, Answer, Place, Recorder, audit_form, report_form, states


async def test_a_stored_push_is_answered_success_and_nothing_more(place: Place) -> None:
    """The seven bytes, as plain text; the connection may stay open."""
    async with place.inbox() as inbox:
        app = PushReceiver(inbox, token=TOKEN)
        answer = await push(report_form("7")).put_to(app)
        expected = {b"content-type": b"text/plain; charset=utf-8", b"content-length": b"7"}
        assert answer == Answer(200, expected, b"success")
        assert (await inbox.report_of("7", timeout=0)).voice_id == "7"
        assert await status(app, push(audit_form("8"))) == 200
        assert (await inbox.audit_of("8", timeout=0)).template_id == "8"


async def test_an_http_client_gets_it_too(inbox: Inbox) -> None:
    """With httpx, which checks what it is answered."""
    transport = httpx.ASGITransport(PushReceiver(inbox, token=TOKEN))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as web:
        answer = await web.post(f"/{TOKEN}", data={"code": "-6", "voiceid": "7"})
        assert (answer.status_code, answer.text) == (200, "success")
        assert (await web.post("/wrong", data={"code": "-6", "voiceid": "8"})).status_code == 404
    await states(inbox, pending=1)


async def test_success_is_never_said_before_the_push_is_stored(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the database takes its time, there is no answer at all."""
    gate = Gate(monkeypatch)
    exchange = push()
    answering = asyncio.create_task(exchange.put_to(PushReceiver(inbox, token=TOKEN)))
    await gate.reached.wait()
    await states(inbox)
    assert not exchange.sent
    gate.opened.set()
    answer = await answering
    assert answer is not None
    assert answer.body == b"success"
    await states(inbox, pending=1)


async def test_a_push_that_is_not_stored_is_answered_503(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And is taken when the vendor tries again."""
    gate = Gate(monkeypatch)
    gate.opened.set()
    gate.error = OSError("No space left on device")
    app = PushReceiver(inbox, token=TOKEN)
    assert await status(app, push()) == 503
    await states(inbox)
    assert "push refused, 503: not stored: " in caplog.text
    gate.error = None
    assert await status(app, push()) == 200
    await states(inbox, pending=1)


async def test_storing_is_waited_for_so_long_and_no_longer(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """503; that it is stored in the end does no harm."""
    gate = Gate(monkeypatch)
    app = PushReceiver(inbox, token=TOKEN, timeout=0.01)
    assert await status(app, push()) == 503
    assert "push refused, 503: not stored in time" in caplog.text
    gate.opened.set()
    await states(inbox, pending=1)
    assert await status(PushReceiver(inbox, token=TOKEN), push()) == 200
    await states(inbox, pending=1)


async def test_a_push_whose_request_is_cancelled_is_stored_all_the_same(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As servers cancel requests whose sender has hung up; nothing is answered."""
    gate = Gate(monkeypatch)
    exchange = push(report_form("7"))
    answering = asyncio.create_task(exchange.put_to(PushReceiver(inbox, token=TOKEN)))
    await gate.reached.wait()
    answering.cancel()
    gate.opened.set()
    with pytest.raises(asyncio.CancelledError):
        await answering
    assert not exchange.sent
    assert (await inbox.report_of("7", timeout=30)).voice_id == "7"


async def test_every_try_of_a_push_is_answered_success(inbox: Inbox) -> None:
    """Also at once; they are one record."""
    app = PushReceiver(inbox, token=TOKEN)
    assert await asyncio.gather(*(status(app, push()) for _ in range(3))) == [200] * 3
    assert await status(app, push()) == 200
    await states(inbox, pending=1)


@pytest.mark.parametrize("code", [*DELIVERY_STATUSES, -7, 999])
async def test_a_report_is_answered_success_however_the_call_ended(inbox: Inbox, code: int) -> None:
    """The push has succeeded, whether the call did or not."""
    assert await status(PushReceiver(inbox, token=TOKEN), push(report_form("7", code))) == 200
    assert (await inbox.report_of("7", timeout=0)).code == code


@pytest.mark.parametrize("approved", [True, False])
async def test_an_audit_is_answered_success_whatever_it_says(inbox: Inbox, approved: bool) -> None:  # noqa: FBT001 - a parameter
    """Likewise."""
    body = audit_form("8", 2 if approved else 0, "含有敏感字符")
    assert await status(PushReceiver(inbox, token=TOKEN), push(body)) == 200
    assert (await inbox.audit_of("8", timeout=0)).approved is approved


async def test_handlers_are_called_after_the_answer(inbox: Inbox) -> None:
    """Each for its own kind."""
    on_report, on_audit = Recorder(), Recorder()
    app = PushReceiver(inbox, token=TOKEN, on_report=on_report, on_audit=on_audit)
    assert await status(app, push(report_form("7", -6))) == 200
    assert await status(app, push(audit_form("8"))) == 200
    await asyncio.gather(on_report.called(1), on_audit.called(1))
    assert on_report.seen[0].status is DeliveryStatus.NO_ANSWER
    assert on_audit.seen[0].template_id == "8"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (f"{FORM}; charset=gbk", "成功".encode("gbk")),
        (f'{FORM}; CharSet = "GB2312"', "成功".encode("gbk")),
        (f"{FORM};x=y;charset=utf-8", "成功".encode()),
        (f"{FORM}; charset=", "成功".encode()),
        (f"{FORM}; charset={'x' * 99}", "成功".encode()),
        (f"{FORM}; charset=\xff", "成功".encode("gbk")),
    ],
)
async def test_text_is_read_in_the_declared_encoding_or_in_one_that_fits(
    inbox: Inbox, kind: str, text: bytes
) -> None:
    """Now and when it is read again from the table."""
    body = b"code=0&templateid=8&msg=" + text
    assert (
        await status(PushReceiver(inbox, token=TOKEN), push(body, headers=form(kind=kind))) == 200
    )
    assert (await inbox.audit_of("8", timeout=0)).msg == "成功"


async def test_a_declared_encoding_that_fits_is_believed(inbox: Inbox) -> None:
    """Even if UTF-8 would fit as well."""
    text = "鎴愬姛".encode("gbk")
    assert text.decode("utf-8") == "成功"
    exchange = push(b"code=0&templateid=8&msg=" + text, headers=form(kind=f"{FORM};charset=gbk"))
    assert await status(PushReceiver(inbox, token=TOKEN), exchange) == 200
    assert (await inbox.audit_of("8", timeout=0)).msg == "鎴愬姛"


@pytest.mark.parametrize(
    ("path", "root_path"),
    [
        (f"/{TOKEN}", ""),
        (f"/{TOKEN}/", ""),
        (f"/pushes/{TOKEN}", ""),
        (f"/pushes/{TOKEN}", "/pushes"),  # Starlette mounts so, since 0.33
        (f"/{TOKEN}", "/pushes"),  # Litestar mounts so, and Starlette before 0.33
        (f"/pushes/{TOKEN}/", "/pushes"),
        (f"/语音/{TOKEN}//", "/语音"),
        (TOKEN, ""),
    ],
)
async def test_the_token_is_found_wherever_the_receiver_is_mounted(
    inbox: Inbox, path: str, root_path: str
) -> None:
    """Whether the path includes what it is mounted at or not."""
    exchange = push(path=path, root_path=root_path)
    assert await status(PushReceiver(inbox, token=TOKEN), exchange) == 200


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"token": ""}, "token"),
        ({"token": None}, "token"),
        ({"token": "sec ret"}, "token"),
        ({"token": "sec/ret"}, "token"),
        ({"token": "secret\n"}, "token"),
        ({"token": "sécret"}, "token"),
        ({"token": "."}, "token"),
        ({"token": ".."}, "token"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": -1.0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"allow": "10.0.0.0/8"}, "allow"),
        ({"allow": []}, "allow"),
        ({"allow": ["10.0.0.1/8"]}, "allow"),
        ({"trusted_proxies": ["proxy"]}, "trusted_proxies"),
    ],
)
async def test_an_argument_that_can_not_be_right_is_named(
    tmp_path: Path, options: dict[str, Any], field: str
) -> None:
    """Nothing has happened then: the inbox has no handler yet. The token isn't shown."""
    inbox = Inbox.open(tmp_path / "pushes.sqlite3")
    arguments: dict[str, Any] = {"token": TOKEN} | options
    with pytest.raises(InvalidRequest) as caught:
        PushReceiver(inbox, on_report=Recorder(), **arguments)
    assert caught.value.field == field
    assert "ret" not in str(caught.value)
    PushReceiver(inbox, on_report=Recorder(), token=TOKEN)


@pytest.mark.parametrize("token", ["a", "...", "-_.~", "A1" * 100])
async def test_any_segment_of_a_path_may_be_the_token(inbox: Inbox, token: str) -> None:
    """Made of what needs no encoding, and no way up or down."""
    assert await status(PushReceiver(inbox, token=token), push(path=f"/{token}")) == 200


async def test_two_receivers_may_share_an_inbox(inbox: Inbox) -> None:
    """One token each, and handlers given once."""
    handler = Recorder()
    first = PushReceiver(inbox, token="first", on_report=handler)
    second = PushReceiver(inbox, token="second")
    with pytest.raises(InvalidRequest):
        PushReceiver(inbox, token="third", on_report=handler)
    assert await status(first, push(path="/first")) == 200
    assert await status(second, push(report_form("2"), path="/second")) == 200
    assert await status(second, push(path="/first")) == 404
    await handler.called(2)


async def test_the_token_shows_nowhere(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in a log line, not in a repr, not in an error that a server may log."""
    caplog.set_level(logging.DEBUG)
    app = PushReceiver(inbox, token=TOKEN)
    for exchange in (push(), push(path=f"/{TOKEN}x"), push(method="GET")):
        await exchange.put_to(app)

    async def broken(_: Push) -> None:
        raise ZeroDivisionError  # a fault of our own

    monkeypatch.setattr(inbox, "put", broken)
    with pytest.raises(ZeroDivisionError) as caught:
        await push().put_to(app)
    logging.getLogger().error("", exc_info=caught.value)
    assert "push refused" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert TOKEN not in caplog.text
    assert TOKEN not in f"{app!r} {app}"


async def test_a_log_that_fails_changes_no_answer(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, log_that_fails: list[str]
) -> None:
    """A filter of somebody's raises: refusals are answered as ever, and what is good is stored."""
    app = PushReceiver(inbox, token=TOKEN)
    assert await status(app, push(path="/wrong")) == 404
    assert await status(app, push(method="GET")) == 405
    gate = Gate(monkeypatch)
    gate.opened.set()
    gate.error = OSError("No space left on device")
    assert await status(app, push()) == 503
    gate.error = None
    assert await status(app, push()) == 200
    assert len(log_that_fails) == 4
