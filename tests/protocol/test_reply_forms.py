"""Replies in their usual form and at their bounds, and what the error for an odd one carries."""

import pytest

from ihuyi_voice import Operation, RawReply, UnreadableReply
from ihuyi_voice.common.redaction import Redactor
from ihuyi_voice.protocol.replies import (
    MAX_REPLY_BYTES,
    Reply,
    ReplyUnreadable,
    parse_reply,
    read_reply,
)

SUBMIT = Operation.SUBMIT
ACCEPTED = b"<r><code>2</code><msg>ok</msg><voiceid>60495654</voiceid></r>"


@pytest.mark.parametrize(
    ("operation", "leaf", "value"),
    [
        (Operation.BALANCE, "<num>856</num>", "856"),
        (Operation.BALANCE, "<num>856.00</num>", "856"),
        (Operation.ADD_TEMPLATE, "<templateid>123</templateid>", "123"),
        (Operation.DELETE_TEMPLATE, "", ""),
        (Operation.BALANCE, "<voiceid>7</voiceid>", None),
        (Operation.ADD_TEMPLATE, "<smsid>7</smsid>", None),
        (SUBMIT, "<num>7</num>", None),
        (SUBMIT, "", None),
    ],
)
def test_each_operation_has_its_own_field_in_the_usual_form(
    operation: Operation, leaf: str, value: str | None
) -> None:
    """No field of another operation stands in for it."""
    body = f"<r><code>2</code><msg>ok</msg>{leaf}</r>".encode()
    if value is not None:
        assert parse_reply(operation, body) == Reply(2, "ok", value)
        return
    with pytest.raises(ReplyUnreadable):
        parse_reply(operation, body)


@pytest.mark.parametrize("frame", ["<r><code>0</code><msg>%s</msg></r>", '{"code":0,"msg":"%s"}'])
def test_a_reply_is_read_up_to_its_largest_size(frame: str) -> None:
    """To the byte, however usual its form is."""
    text = "x" * (MAX_REPLY_BYTES - len(frame % ""))
    assert parse_reply(SUBMIT, (frame % text).encode()) == Reply(0, text)
    with pytest.raises(ReplyUnreadable, match=r"^longer than 65536 bytes$"):
        parse_reply(SUBMIT, (frame % f"{text}x").encode())


def test_a_reply_without_a_text_has_an_empty_one() -> None:
    """The code is enough for a refusal."""
    assert parse_reply(SUBMIT, b'{"code":405}') == Reply(405, "")


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (199, ACCEPTED, "HTTP 199"),
        (300, ACCEPTED, "HTTP 300"),
        (200, b"OK", "neither XML nor JSON"),
    ],
)
def test_what_is_unreadable_says_why_and_carries_the_reply(
    status: int, body: bytes, reason: str
) -> None:
    """A success in a redirect is none, and people see what came."""
    raw = RawReply(status, [], body)
    with pytest.raises(UnreadableReply) as caught:
        read_reply(SUBMIT, raw, Redactor("a key of somebody's"))
    assert str(caught.value) == f"unreadable reply ({reason}): {raw.excerpt!r}"
    assert caught.value.raw is raw


@pytest.mark.parametrize(
    ("location", "place"),
    [
        (b"https://else.test/voice.php?password=secret#y", "to https://else.test/voice.php)"),
        (b"/login", "/login"),
        (b"http://user:secret@else.test:8080/", "http://else.test:8080/"),
        (b"http:user:secret@else.test/", "else.test/"),
        (b"//user:secret@else.test/", "//else.test/"),
        (b"http:\\\\user:secret@else.test/", "else.test/"),
        (b"http://user%3Asecret%40else.test/", "http://else.test/"),
        (b"http://else.test/13900000000;jsessionid=secret/x", "http://else.test/139****0000/x"),
        (b"http://else.test/a-secret/%61-secret/A-SECRET", "http://else.test/[redacted]/[redacted]/[redacted]"),
        (b"http://else.test/\x1b[2J\r\n%0a%1b", r"http://else.test/\x1b[2J\r\n\n\x1b"),
        (b"http://[else", "http://[else"),
        (b"x" * 5_000, "x" * 200),
        (b"\xff?secret", "\xff"),
    ],
)  # fmt: skip
def test_a_redirect_says_where_it_points_and_nothing_secret(location: bytes, place: str) -> None:
    """A proxy's login page, or the same address with TLS: whoever reads it knows what to mend."""
    raw = RawReply(302, [(b"Server", b"x"), (b"Location", location)], b"")
    with pytest.raises(UnreadableReply) as caught:
        read_reply(SUBMIT, raw, Redactor("a-secret"))
    assert place in str(caught.value)
    assert str(caught.value).endswith("): ''")
    assert "secret" not in str(caught.value).replace("a-secret", "")
    assert len(str(caught.value)) < 250
    assert caught.value.raw is not None
    assert caught.value.raw.points_to == ""


def test_what_is_no_redirect_points_nowhere() -> None:
    """Nor does one that doesn't say where."""
    for status, headers in ((500, [(b"location", b"/x")]), (302, []), (302, [(b"location", b"")])):
        with pytest.raises(UnreadableReply, match=rf"\(HTTP {status}\)"):
            read_reply(SUBMIT, RawReply(status, headers, b""), Redactor())
