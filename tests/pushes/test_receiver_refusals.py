"""What the receiver refuses, how, and how much of it it reads before that."""

import asyncio
import hmac
import logging
from typing import Any

import pytest

from ihuyi_voice.pushes import Inbox, PushReceiver
from ihuyi_voice.pushes.receiver import MAX_BODY
from tests.pushes.requests import TOKEN, form, push, status
from tests.pushes.support import FORM, Exchange, body_events, report_form, states

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
    assert line.levelno == logging.WARNING
    assert f"refused, {expected}: " in line.getMessage()


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
