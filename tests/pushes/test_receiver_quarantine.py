"""Nothing is refused into nothing: whatever has the right token is stored, readable or not."""

import asyncio
import gzip
import logging
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice.errors import InboxClosed, InboxUnavailable
from ihuyi_voice.pushes import Inbox, PushReceiver
from ihuyi_voice.pushes.receiver import MAX_BODY
from tests.pushes.doubles import MemoryInbox, before
from tests.pushes.requests import TOKEN, Gate, form, push, status
from tests.pushes.support import FORM, Exchange, Place, report_form, states

UNREADABLE: list[tuple[bytes, str, str]] = [  # a body, its type, and what is wrong with it
    (b"", FORM, "neither a voiceid nor a templateid"),
    (b"success", "", "neither a voiceid nor a templateid"),
    (b'{"code":2}', "application/json", "neither a voiceid nor a templateid"),
    (b"{", "application/json", "no JSON that can be read"),
    (b"code=2", "multipart/form-data", "a multipart form without its boundary"),
    (report_form("0"), FORM, "an id of 0"),
    (report_form() + b"&templateid=1", FORM, "two ids"),
    (report_form() + b"&code=0", FORM, "'code' comes twice with two values"),
    (report_form(code=2) + b"&code=", FORM, "'code' comes twice with two values"),
    (report_form("x" * 65), FORM, "voiceid is not what it should be"),
    (report_form().replace(b"code=2", b"code=DELIVRD"), FORM, "code is not what it should be"),
    (report_form() + b"&x=1" * 1000, FORM, "more than 1000 fields"),
    (b"\x1f\x8bxyz", "application/gzip", "no gzip that can be read"),
    (b"\x00\xff" * 100, "\xff", "neither a voiceid nor a templateid"),
]


@pytest.mark.parametrize(("body", "kind", "reason"), UNREADABLE, ids=lambda each: ascii(each)[:30])
async def test_what_can_not_be_read_is_kept_as_it_came(
    caplog: pytest.LogCaptureFixture, body: bytes, kind: str, reason: str
) -> None:
    """And answered `success`, for the same again would help nobody; a warning says what it is."""
    inbox = MemoryInbox()
    assert await status(before(inbox), push(body, headers=form(kind=kind))) == 200
    assert not inbox.stored
    (kept,) = inbox.kept
    assert (kept.body, kept.content_type, kept.reason) == (body, kind, reason)
    (line,) = [each for each in caplog.records if each.name == "ihuyi_voice.pushes"]
    assert line.levelno == logging.WARNING
    told = f"push quarantined, for it can't be read: {reason}: "
    assert line.getMessage().startswith(told)


PARTS = b"".join(
    b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % pair
    for pair in ((b"voiceid", b"7"), (b"code", b"2"))
) + b"--x--\r\n"  # fmt: skip

READABLE: list[tuple[bytes, list[tuple[bytes, bytes]]]] = [
    (report_form("7"), []),
    (report_form("7"), [(b"content-type", b"")]),
    (report_form("7"), [(b"content-type", b"text/plain")]),
    (report_form("7"), [(b"content-type", b"application/json")]),
    (report_form("7"), [(b"content-type", b"application/json"), *form()]),
    (report_form("7"), [*form(), (b"content-type", b"multipart/form-data")]),
    (report_form("7"), form(kind=FORM.upper())),
    (report_form("7"), form(kind=f"{FORM}, charset=martian")),
    (report_form("7"), form(kind="\x00\xff")),
    (report_form("7") + b"\r\n\r\n", form()),
    (b"&&" + report_form("7") + b"&=&%zz=%&\xff", form()),
    (report_form("7") + b"&x=" + b"1" * 60_000, form()),
    (gzip.compress(report_form("7"), mtime=0), form((b"content-encoding", b"gzip"))),
    (b'{"voiceid":7,"code":2}', []),
    (PARTS, []),
]


@pytest.mark.parametrize(("body", "headers"), READABLE, ids=lambda each: ascii(each)[:30])
async def test_what_can_be_read_is_stored_however_it_is_declared(
    body: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    """No type, another one, two, compressed, long: none of it says anything about a call."""
    inbox = MemoryInbox()
    assert await status(before(inbox), push(body, headers=headers)) == 200
    assert not inbox.kept
    (stored,) = inbox.stored
    assert (stored.subject, stored.body) == ("7", body)
    assert "\0" not in stored.content_type  # which no database takes


async def test_fields_behind_the_address_are_read_where_the_body_is_empty() -> None:
    """As some post them; with a body, nobody asks what else there is."""
    inbox = MemoryInbox()
    app = before(inbox)
    for body in (b"", report_form("8")):
        exchange = push(body)
        scope = exchange.scope() | {"query_string": report_form("7")}
        await app(scope, exchange.receive, exchange.send)
        assert exchange.sent[0]["status"] == 200
    assert [each.subject for each in inbox.stored] == ["7", "8"]
    exchange = push(b"")
    await app(
        exchange.scope() | {"query_string": b"1" * (MAX_BODY + 1)}, exchange.receive, exchange.send
    )
    assert exchange.sent[0]["status"] == 413


async def test_what_can_not_be_read_is_one_row_of_the_inbox(place: Place) -> None:
    """However often it is pushed; it can be looked at, and is read again when somebody asks."""
    async with place.inbox() as inbox:
        app = PushReceiver(inbox, token=TOKEN)
        body = report_form() + b"&templateid=13900000000"
        for _ in range(3):
            assert await status(app, push(body, headers=form(kind="x/y\xff"))) == 200
        (kept,) = await inbox.quarantined()
        assert (kept.body, kept.content_type, kept.reason) == (body, "x/y\xff", "two ids")
        await states(inbox, quarantined=1)
        assert await inbox.parse_again() == 0
        assert await status(app, push(report_form("7"))) == 200
        assert (await inbox.report_of("7", timeout=0)).raw["voiceid"] == "7"


SECRET = "13900000000"


@pytest.mark.parametrize(
    "body",
    [
        SECRET.encode() + b"=1",
        b"".join(b"%%%02x" % byte for byte in SECRET.encode()),
        b"mobile=(021)51234567&x=\x1b[2J\r\nfake\xe2\x80\xae",
        b"tel:+86 139-0000-0000",
        b"139 0000 0000",
        b"x" * 795 + SECRET.encode(),
        b"x" * 95 + SECRET.encode(),
        quote("成功" * 5000).encode(),
        b"\xff" * 5000,
    ],
    ids=lambda body: ascii(body)[:30],
)
async def test_the_line_shows_the_beginning_and_no_number(
    caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    """On one line, short, and harmless to a terminal."""
    await status(before(MemoryInbox()), push(body))
    (line,) = [each.getMessage() for each in caplog.records if each.name == "ihuyi_voice.pushes"]
    assert line.isprintable()
    digits = "".join(char for char in line if char.isdigit())
    assert SECRET[3:] not in digits
    assert "51234567" not in digits
    assert len(line) < 1000


async def test_a_push_that_our_own_reading_fails_on_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fault of ours is no reason to lose it."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("ihuyi_voice.pushes.receiver.parse_push", broken)
    inbox = MemoryInbox()
    assert await status(before(inbox), push(report_form("7"))) == 200
    (kept,) = inbox.kept
    assert (kept.body, kept.reason) == (report_form("7"), "ZeroDivisionError while it was read")


@pytest.mark.parametrize("body", [report_form("7"), b"unreadable"])
@pytest.mark.parametrize("error", [InboxUnavailable("full"), InboxClosed("closed")])
async def test_what_is_not_stored_is_not_answered_success(body: bytes, error: Exception) -> None:
    """503, readable or not; the vendor tries again."""
    inbox = MemoryInbox()
    inbox.error = error
    assert await status(before(inbox), push(body)) == 503


@pytest.mark.parametrize("error", [asyncio.CancelledError(), ZeroDivisionError()])
async def test_a_quarantine_that_breaks_answers_nothing(error: BaseException) -> None:
    """Least of all `success`."""
    inbox = MemoryInbox()
    inbox.error = error
    exchange = push(b"unreadable")
    with pytest.raises(type(error)):
        await before(inbox)(exchange.scope(), exchange.receive, exchange.send)
    assert not exchange.sent


async def test_a_quarantine_that_hangs_is_waited_for_so_long_and_no_longer() -> None:
    """Like storing."""
    inbox = MemoryInbox()
    hanging = asyncio.Event()
    inbox.quarantine = lambda _: hanging.wait()  # type: ignore[method-assign,assignment,return-value]  # pyright: ignore[reportAttributeAccessIssue] - a double
    assert await status(before(inbox, timeout=0.01), push(b"unreadable")) == 503


HEADERS = st.lists(
    st.tuples(
        st.sampled_from([b"content-type", b"content-encoding", b"x"]),
        st.sampled_from([FORM.encode(), b"multipart/form-data; boundary=x", b"application/json"])
        | st.binary(max_size=30),
    ),
    max_size=3,
)
PIECES = st.sampled_from(
    [
        *(
            report_form("7"),
            b"voiceid=7&code=2",
            b'{"voiceid":"7","code":2}',
            b"\r\n",
            b"&",
            b"--x",
        ),
        *(
            b"\xef\xbb\xbf",
            b"\x1f\x8b",
            b"%",
            b"[" * 9000,
            b"=",
            b"\0",
            b"Content-Disposition:",
            b"{",
        ),
    ]
)
BODIES = st.lists(PIECES | st.binary(max_size=40), max_size=7).map(b"".join)


@given(BODIES, HEADERS, st.binary(max_size=50))
async def test_any_body_behind_the_right_token_is_stored_or_kept(
    body: bytes, headers: list[tuple[bytes, bytes]], query: bytes
) -> None:
    """Whatever its headers say, as long as it isn't too large; it is never an exception."""
    inbox = MemoryInbox()
    exchange = Exchange(f"/{TOKEN}", [{"type": "http.request", "body": body}], headers)
    await before(inbox)(exchange.scope() | {"query_string": query}, exchange.receive, exchange.send)
    expected = 413 if len(body) > MAX_BODY else 200
    assert exchange.sent[0]["status"] == expected
    assert len(inbox.stored) + len(inbox.kept) == (expected == 200)
    bodies = [each.body for each in inbox.stored] + [each.body for each in inbox.kept]
    assert bodies in ([], [body or query])


@pytest.mark.parametrize("piece", [b"[", b"&", b"%", b"--x\r\n", b'{"a":', b" ", b"\xff"])
async def test_the_largest_bodies_are_kept_too(piece: bytes) -> None:
    """Up to the last byte that is taken."""
    inbox = MemoryInbox()
    body = (piece * MAX_BODY)[:MAX_BODY]
    assert await status(before(inbox), push(body)) == 200
    assert [each.body for each in inbox.kept] == [body]


class Clock:
    """A clock that only tests move."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    """Return the level and the text of the receiver's lines."""
    return [
        (each.levelno, each.getMessage())
        for each in caplog.records
        if each.name == "ihuyi_voice.pushes"
    ]


async def test_wrong_tokens_are_a_warning_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """With how many they were since; the first at once, and nothing of what was tried in it."""
    clock = Clock()
    app = before(MemoryInbox(), clock=clock)
    told = "push refused, 404: wrong token{}"
    for now, expected in ((0.0, 1), (1.0, 0), (59.9, 0), (60.0, 3), (61.0, 0), (500.0, 2)):
        since = f", {expected} since the last such line" if expected > 1 else ""
        clock.now = now
        caplog.clear()
        assert await status(app, push(path=f"/{TOKEN}x")) == 404
        assert lines(caplog) == [(logging.WARNING, told.format(since))] * bool(expected)
        assert TOKEN not in caplog.text


async def test_an_outage_is_told_once_a_minute_and_its_end_with_how_many_it_cost(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The vendor's pushes come by the thousand, and each is refused; none is counted twice."""
    gate, clock = Gate(monkeypatch), Clock()
    gate.opened.set()
    gate.error = OSError("No space left on device")
    app = PushReceiver(inbox, token=TOKEN, clock=clock)
    for clock.now in (0.0, *range(10, 130)):
        assert await status(app, push()) == 503
    gate.error = None
    for _ in range(2):
        assert await status(app, push()) == 200
    refused = "push refused, 503: not stored: "
    told = [line for _, line in lines(caplog)]
    assert [line.startswith(refused) for line in told] == [True, True, True, False]
    assert [line.rpartition(", ")[2] for line in told[1:]] == [
        "51 since the last such line", "60 since the last such line", "503: 121",
    ]  # fmt: skip
    assert told[-1] == "pushes are stored again; refused meanwhile, 503: 121"


async def test_an_inbox_that_nobody_opened_is_told_in_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At the first push, once; each is answered 503, and only whoever knows the token hears it."""
    inbox = MemoryInbox()
    inbox.is_open = False
    app = before(inbox)
    assert await status(app, push(path="/wrong")) == 404
    assert not [line for level, line in lines(caplog) if level == logging.ERROR]
    for _ in range(3):
        assert await status(app, push()) == 503
    (told,) = [line for level, line in lines(caplog) if level == logging.ERROR]
    assert "the inbox of this receiver is not open" in told
    assert "lifespan" in told
    assert caplog.text.count("push refused, 503: the inbox is not open") == 1


async def test_an_inbox_that_was_closed_is_no_forgotten_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """While a server stops, 503 says enough."""
    inbox = MemoryInbox()
    app = before(inbox)
    assert await status(app, push()) == 200
    inbox.is_open = False
    assert await status(app, push()) == 503
    assert [level for level, _ in lines(caplog)] == [logging.WARNING]
