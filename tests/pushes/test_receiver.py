"""The receiver, ASGI event by event: `success` for what is stored, and for nothing else."""

import asyncio
import hmac
import logging
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ihuyi_voice import InvalidRequest
from ihuyi_voice.models import DELIVERY_STATUSES
from ihuyi_voice.protocol.pushes import Push, PushUnreadable
from ihuyi_voice.pushes import DeliveryStatus, Inbox, PushReceiver
from ihuyi_voice.pushes.receiver import MAX_BODY
from ihuyi_voice.pushes.store import Store
from tests.pushes.support import (
    FORM,
    Answer,
    Exchange,
    Place,
    Recorder,
    audit_form,
    body_events,
    report_form,
    states,
)

TOKEN = "2Zb0-se.cr~et_"


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncGenerator[Inbox]:
    """Yield an open inbox on SQLite."""
    async with Inbox.open(tmp_path / "pushes.sqlite3") as inbox:
        yield inbox


def push(*chunks: bytes, path: str = f"/{TOKEN}", **changes: Any) -> Exchange:
    """Return a request with this body; a report if there is none."""
    return Exchange(path, body_events(*(chunks or (report_form(),))), **changes)


def form(*headers: tuple[bytes, bytes], kind: str = FORM) -> list[tuple[bytes, bytes]]:
    """Return the headers of a form and some more."""
    return [(b"content-type", kind.encode("latin-1")), *headers]


async def status(app: PushReceiver, exchange: Exchange) -> int:
    """Return the status of an answer, having checked that only 200 says `success`."""
    answer = await exchange.put_to(app)
    assert answer is not None
    assert (answer.body == b"success") is (answer.status == 200)
    assert answer.headers[b"content-type"] == b"text/plain; charset=utf-8"
    return answer.status


class Gate:
    """Stands before the insertion of pushes: holds it up, and fails it when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()
        self.error: Exception | None = None
        insert = Store.insert

        async def gated(store: Store, on: Any, rows: Any) -> None:
            self.reached.set()
            await self.opened.wait()
            if self.error is not None:
                raise self.error
            await insert(store, on, rows)

        monkeypatch.setattr(Store, "insert", gated)


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


async def test_until_the_inbox_is_open_pushes_are_answered_503(tmp_path: Path) -> None:
    """And again when it has been closed."""
    inbox = Inbox.open(tmp_path / "pushes.sqlite3")
    app = PushReceiver(inbox, token=TOKEN)
    assert await status(app, push()) == 503
    async with inbox:
        assert await status(app, push()) == 200
    assert await status(app, push()) == 503


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


REFUSED: list[tuple[dict[str, Any], int]] = [  # what is wrong, and what it is answered
    ({"path": "/wrong"}, 404),
    ({"path": "/wrong", "method": "GET", "client": ("198.51.100.9", 1), "headers": []}, 404),
    ({"client": ("198.51.100.9", 1)}, 403),
    ({"client": None}, 403),
    ({"client": ("198.51.100.9", 1), "method": "GET", "headers": []}, 403),
    ({"method": "GET"}, 405),
    ({"method": "HEAD"}, 405),
    ({"method": "PUT"}, 405),
    ({"method": "OPTIONS"}, 405),
    ({"method": "post"}, 405),
    ({"method": "GET", "headers": []}, 405),
    ({"headers": []}, 415),
    ({"headers": form(kind="application/json")}, 415),
    ({"headers": form(kind="multipart/form-data; boundary=x")}, 415),
    ({"headers": form(kind="text/plain; application/x-www-form-urlencoded")}, 415),
    ({"headers": form(kind="\xff")}, 415),
    ({"headers": form((b"content-length", b"%d" % (MAX_BODY + 1)))}, 413),
    ({"headers": form((b"content-length", b"00000000000000065537"))}, 413),
    ({"headers": form((b"content-length", b"9" * 20))}, 413),
]


@pytest.mark.parametrize(("changes", "expected"), REFUSED)
async def test_what_is_wrong_before_the_body_is_refused_without_reading_it(
    inbox: Inbox, caplog: pytest.LogCaptureFixture, changes: dict[str, Any], expected: int
) -> None:
    """Each with its status, the token first and the address second; the connection is closed."""
    app = PushReceiver(inbox, token=TOKEN, allow=["192.0.2.0/24"])
    exchange = push(**changes)
    answer = await exchange.put_to(app)
    assert answer is not None
    assert answer.status == expected
    assert answer.headers[b"connection"] == b"close"
    assert answer.headers.get(b"allow") == (b"POST" if expected == 405 else None)
    assert b"success" not in answer.body
    assert exchange.received == 0
    await states(inbox)
    (line,) = [each for each in caplog.records if each.name == "ihuyi_voice.pushes"]
    assert line.levelno == (logging.INFO if expected == 404 else logging.WARNING)
    assert f"push refused, {expected}: " in line.getMessage()


@pytest.mark.parametrize(
    "headers",
    [
        form(kind=f"{FORM}; charset=UTF-8"),
        form(kind=f" {FORM.upper()} ;x=y"),
        form(kind=f"{FORM};"),
        form((b"content-length", b"187")),
        form((b"content-length", b"")),
        form((b"content-length", b"-1")),
        form((b"content-length", b"\xb2")),
        form((b"content-length", b"9" * 5000)),
    ],
)
async def test_a_form_is_taken_however_its_headers_are_written(
    inbox: Inbox, headers: list[tuple[bytes, bytes]]
) -> None:
    """A length that is none is the server's business; what comes is bounded in any case."""
    assert await status(PushReceiver(inbox, token=TOKEN), push(headers=headers)) == 200


async def test_a_body_is_bounded_to_the_byte(inbox: Inbox) -> None:
    """Declared or not, in one piece or in many; nothing is read beyond the bound."""
    app = PushReceiver(inbox, token=TOKEN)
    start = report_form() + b"&x="
    full = start.ljust(MAX_BODY, b"x")
    declared = form((b"content-length", b"%d" % MAX_BODY))
    assert await status(app, push(full, headers=declared)) == 200
    assert await status(app, push(*(full[at : at + 999] for at in range(0, MAX_BODY, 999)))) == 200
    assert await status(app, push(full + b"x")) == 413
    endless = push(start, *[b"x" * 8192] * 100)
    assert await status(app, endless) == 413
    assert endless.received == 9
    await states(inbox, pending=1)


async def test_a_body_may_take_so_long_and_no_longer(inbox: Inbox) -> None:
    """Whether it stalls or drips."""
    app = PushReceiver(inbox, token=TOKEN, timeout=0.02)
    stalling = Exchange(f"/{TOKEN}", body_events(report_form(), b"")[:1])
    assert await status(app, stalling) == 408
    dripping = push()

    async def drip() -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"", "more_body": True}

    dripping.receive = drip  # type: ignore[method-assign]
    assert await status(app, dripping) == 408
    await states(inbox)


async def test_a_body_comes_in_any_pieces(inbox: Inbox) -> None:
    """Empty ones and ones that leave out what ASGI lets them leave out included."""
    body = report_form("7")
    exchange = push(b"", *(body[at : at + 1] for at in range(len(body))), b"")
    exchange.events[0] = {"type": "http.request", "more_body": True}
    exchange.events[-1] = {"type": "http.request"}
    assert await status(PushReceiver(inbox, token=TOKEN), exchange) == 200
    assert (await inbox.report_of("7", timeout=0)).mobile == "13900000000"


@pytest.mark.parametrize("sent", [0, 1, 3])
async def test_a_sender_that_hangs_up_gets_no_answer(inbox: Inbox, sent: int) -> None:
    """And nothing is stored, even if the beginning of its body could be a push."""
    events = body_events(report_form("7"), b"&a=1", b"&b=1", b"&c=1")[:sent]
    exchange = Exchange(f"/{TOKEN}", [*events, {"type": "http.disconnect"}])
    assert await exchange.put_to(PushReceiver(inbox, token=TOKEN)) is None
    await states(inbox)


async def test_a_sender_that_hangs_up_before_the_answer_is_no_error(inbox: Inbox) -> None:
    """The server says so by an OSError; the push is stored."""
    exchange = push()

    async def gone(event: Any) -> None:
        raise BrokenPipeError

    exchange.send = gone  # type: ignore[method-assign]
    assert await exchange.put_to(PushReceiver(inbox, token=TOKEN)) is None
    await states(inbox, pending=1)


@pytest.mark.parametrize(
    "body", [b"", b"success", b'{"code":2}', report_form("0"), report_form(code=2) + b"&code=0"]
)
async def test_what_can_not_be_understood_is_answered_422(inbox: Inbox, body: bytes) -> None:
    """It can never be right, so trying again is no use."""
    assert await status(PushReceiver(inbox, token=TOKEN), push(body)) == 422
    await states(inbox)


@pytest.mark.parametrize(
    "body",
    [
        b"13900000000=1&13900000000=2",
        b"%0d%0afake%20line%1b%5b2J=1&%0d%0afake%20line%1b%5b2J=2",
        b"%F0%9F%98%80%ED%A0%80=1&%F0%9F%98%80%ED%A0%80=2",
    ],
)
async def test_a_reason_is_logged_as_one_line_without_numbers(
    inbox: Inbox, caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    """Whatever it quotes of what was sent."""
    await status(PushReceiver(inbox, token=TOKEN), push(body))
    (line,) = [each.getMessage() for each in caplog.records if each.name == "ihuyi_voice.pushes"]
    assert line.startswith("push refused, 422: ")
    assert line.isprintable()
    assert "13900000000" not in line
    assert len(line) < 100


async def test_a_reason_from_elsewhere_is_cut_masked_and_made_printable(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A number isn't cut in two before it is masked."""
    reason = "a\r\nb\x1b[2J" + "x" * 185 + "13900000000"

    def unreadable(*_: object) -> None:
        raise PushUnreadable(reason)

    monkeypatch.setattr("ihuyi_voice.pushes.receiver.parse_push", unreadable)
    assert await status(PushReceiver(inbox, token=TOKEN), push()) == 422
    (line,) = [each.getMessage() for each in caplog.records if each.name == "ihuyi_voice.pushes"]
    assert line == "push refused, 422: a??b?[2J" + "x" * 185 + "139****"


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
    "path",
    [
        "",
        "/",
        "//",
        "/pushes/",
        f"/{TOKEN[:-1]}",
        f"/{TOKEN}x",
        f"/{TOKEN}/x",
        f"/{TOKEN.upper()}",
        f"/x{TOKEN}",
        f"/{TOKEN}%2F",
        f"/{TOKEN}\x00",
        f"/{TOKEN} ",
        f"/{TOKEN}?",
        "/令牌",
        "/\ud800",
        f"/{TOKEN}\udcff",
    ],
)
async def test_any_other_path_is_answered_404(inbox: Inbox, path: str) -> None:
    """Empty, near, percent-encoded, in Chinese, or no Unicode at all."""
    app = PushReceiver(inbox, token=TOKEN)
    assert await status(app, push(path=path, root_path=f"/{TOKEN}")) == 404


async def test_tokens_are_compared_in_constant_time(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As bytes, for compare_digest takes no text beyond ASCII."""
    compared: list[tuple[object, object]] = []
    compare = hmac.compare_digest

    def watched(given: bytes, expected: bytes) -> bool:
        compared.append((given, expected))
        return compare(given, expected)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    app = PushReceiver(inbox, token=TOKEN)
    for path in ("/wrong", "/令牌", f"/{TOKEN}"):
        await status(app, push(path=path))
    given = [b"wrong", "令牌".encode(), TOKEN.encode()]
    assert compared == [(each, TOKEN.encode()) for each in given]


async def test_only_allowed_addresses_may_push(inbox: Inbox) -> None:
    """A proxy's word counts if it was named."""
    app = PushReceiver(inbox, token=TOKEN, allow=["203.0.113.0/24"], trusted_proxies=["192.0.2.1"])
    told = form((b"x-forwarded-for", b"203.0.113.9"))
    assert await status(app, push()) == 403
    assert await status(app, push(headers=told)) == 200
    assert await status(app, push(headers=told, client=("192.0.2.2", 1))) == 403
    assert await status(app, push(client=("203.0.113.9", 1))) == 200


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
    for exchange in (push(), push(b""), push(path=f"/{TOKEN}x"), push(method="GET")):
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


class Life:
    """A server's side of an application's start and end."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def send(self, event: Any) -> None:
        """Take what the application says."""
        self.sent.put_nowait(event)

    def begin(self, app: PushReceiver) -> "asyncio.Task[None]":
        """Start the application."""
        self.events.put_nowait({"type": "lifespan.startup"})
        return asyncio.create_task(app({"type": "lifespan"}, self.events.get, self.send))

    async def started(self) -> dict[str, Any]:
        """Return what the application says of its start."""
        return await self.sent.get()

    async def end(self, running: "asyncio.Task[None]") -> None:
        """Stop the application, which says so."""
        self.events.put_nowait({"type": "lifespan.shutdown"})
        await running
        assert await self.sent.get() == {"type": "lifespan.shutdown.complete"}


STARTED = {"type": "lifespan.startup.complete"}


async def test_by_itself_it_opens_and_closes_its_inbox(place: Place) -> None:
    """Whose handlers have ended and whose pushes are stored by then; and all over again."""
    handler = Recorder()
    inbox = place.inbox()
    app = PushReceiver(inbox, token=TOKEN, on_report=handler)
    for turn in (1, 2):
        life = Life()
        running = life.begin(app)
        assert await life.started() == STARTED
        assert inbox.is_open
        assert await status(app, push(report_form(str(turn)))) == 200
        await handler.called(turn)
        await life.end(running)
        assert not inbox.is_open
    async with place.inbox() as another:
        await states(another, handled=2)


async def test_an_inbox_that_is_open_stays_open(inbox: Inbox) -> None:
    """Whoever opened it closes it."""
    life = Life()
    running = life.begin(PushReceiver(inbox, token=TOKEN))
    assert await life.started() == STARTED
    await life.end(running)
    assert inbox.is_open
    await states(inbox)


@pytest.mark.parametrize(
    "address", ["{}/missing/pushes.sqlite3", "postgresql://x:pw@127.0.0.1:1/x"]
)
async def test_a_database_that_can_not_be_reached_fails_the_start(
    tmp_path: Path, address: str
) -> None:
    """With a message for whoever reads the server's log, and without a password."""
    inbox = Inbox.open(address.format(tmp_path))
    life = Life()
    running = life.begin(PushReceiver(inbox, token=TOKEN))
    said = await life.started()
    assert said["type"] == "lifespan.startup.failed"
    assert "database failed" in said["message"]
    assert "pw" not in said["message"]
    await running
    assert not inbox.is_open


async def test_an_inbox_that_is_being_opened_elsewhere_fails_the_start(tmp_path: Path) -> None:
    """A clear message instead of an exception, which some servers take for no lifespan at all."""
    inbox = Inbox.open(tmp_path / "pushes.sqlite3")
    opening = asyncio.create_task(inbox.__aenter__())
    await asyncio.sleep(0)
    life = Life()
    running = life.begin(PushReceiver(inbox, token=TOKEN))
    said = await life.started()
    assert said == {"type": "lifespan.startup.failed", "message": "the inbox is open already"}
    await running
    await (await opening).__aexit__(None, None, None)


async def test_a_start_that_is_cancelled_leaves_the_inbox_closed(tmp_path: Path) -> None:
    """Also while it runs: servers cancel it when they end in a hurry."""
    inbox = Inbox.open(tmp_path / "pushes.sqlite3")
    life = Life()
    running = life.begin(PushReceiver(inbox, token=TOKEN))
    await life.started()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not inbox.is_open


async def test_a_websocket_is_closed(inbox: Inbox) -> None:
    """Unread, with the right token too."""
    exchange = push()
    scope: dict[str, Any] = {"type": "websocket", "path": f"/{TOKEN}", "headers": []}
    await PushReceiver(inbox, token=TOKEN)(scope, exchange.receive, exchange.send)
    assert exchange.sent == [{"type": "websocket.close"}]
    assert exchange.received == 0
