"""The bodies of pushes: in whatever form they come, and whatever they are said to be."""

import codecs
import gzip
import json
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice.protocol import Push, PushUnreadable, parse_push
from tests.protocol.posted import AUDIT, FORM, REPORT, audit, form, report

MULTIPART = "multipart/form-data; boundary=----x"
JSON = "application/json"
GOOD = report(form(REPORT))


def multipart(fields: dict[str, str], end: str = "\r\n", encoding: str = "utf-8") -> bytes:
    """Return a form as curl and PHP's array form write it."""
    parts = (
        f'------x{end}Content-Disposition: form-data; name="{name}"{end}{end}{value}{end}'
        for name, value in fields.items()
    )
    return "".join([*parts, f"------x--{end}"]).encode(encoding)


def as_json(fields: dict[str, Any], **changes: Any) -> bytes:
    """Return an object."""
    return json.dumps(fields | changes, ensure_ascii=False).encode()


FORMS: dict[str, tuple[bytes, str]] = {  # what is posted, and what it is said to be
    "no type": (form(REPORT), ""),
    "another case": (form(REPORT), FORM.upper()),
    "a comma": (form(REPORT), f"{FORM}, charset=utf-8"),
    "a blank": (form(REPORT), f"{FORM} charset=utf-8"),
    "an unknown charset": (form(REPORT), f"{FORM}; charset=martian"),
    "an endless charset": (form(REPORT), f"{FORM}; charset={'x' * 5000}"),
    "plain text": (form(REPORT), "text/plain"),
    "no such type": (form(REPORT), "\xff"),
    "a trailing line": (form(REPORT) + b"\r\n", FORM),
    "a mark": (codecs.BOM_UTF8 + form(REPORT), FORM),
    "an encoded mark": (b"%EF%BB%BF" + form(REPORT), FORM),
    "a mark, no type": (codecs.BOM_UTF8 + form(REPORT), ""),
    "a form that is no JSON": (form(REPORT), JSON),
    "a form that has no parts": (form(REPORT), MULTIPART),
    "500 fields": (form(REPORT) + b"&x=1" * 500, FORM),
    "multipart": (multipart(REPORT), MULTIPART),
    "a quoted boundary": (multipart(REPORT), 'Multipart/Form-Data; BOUNDARY="----x"; charset=x'),
    "a boundary after a comma": (multipart(REPORT), "multipart/form-data, boundary=----x"),
    "multipart of bare lines": (multipart(REPORT, "\n"), MULTIPART),
    "multipart, no boundary": (multipart(REPORT), "multipart/form-data"),
    "multipart, another boundary": (multipart(REPORT), "multipart/form-data; boundary=y"),
    "multipart, no type": (multipart(REPORT), ""),
    "multipart, called a form": (multipart(REPORT), FORM),
    "multipart behind a mark": (codecs.BOM_UTF8 + multipart(REPORT), MULTIPART),
    "multipart behind a mark, no type": (codecs.BOM_UTF8 + multipart(REPORT), ""),
    "a boundary that no header holds": (multipart(REPORT), "multipart/form-data; boundary=甲"),
    "blanks behind the boundary": (multipart(REPORT).replace(b"--x\r", b"--x \t\r", 1), ""),
    "multipart behind words": (b"hello\r\n" + multipart(REPORT), MULTIPART),
    "multipart in GBK": (multipart(REPORT, encoding="gbk"), MULTIPART),
    "JSON": (as_json(REPORT), JSON),
    "JSON of numbers": (as_json(REPORT, code=2, talktime=12, voiceid=60495654), JSON),
    "JSON of halves": (as_json(REPORT, code=2.0, talktime=12.0), JSON),
    "JSON with a null": (as_json(REPORT, templateid=None), JSON),
    "JSON in other words": (as_json(REPORT), "application/json;charset=UTF-8"),
    "JSON, called text": (as_json(REPORT), "text/json"),
    "JSON behind a mark": (codecs.BOM_UTF8 + as_json(REPORT), JSON),
    "JSON behind a mark, no type": (codecs.BOM_UTF8 + as_json(REPORT), ""),
    "JSON of a form behind a mark": (as_json(REPORT).replace(b"voice", b"\xef\xbb\xbfvoice"), JSON),
    "JSON in GBK": (as_json(REPORT).decode().encode("gbk"), JSON),
    "JSON, no type": (b" \r\n" + as_json(REPORT), ""),
    "JSON, called a form": (as_json(REPORT), FORM),
    "gzip": (gzip.compress(form(REPORT), mtime=0), FORM),
    "gzip of JSON": (gzip.compress(as_json(REPORT), mtime=0), JSON),
    "gzip of parts": (gzip.compress(multipart(REPORT), mtime=0), MULTIPART),
}


@pytest.mark.parametrize("posted", FORMS)
def test_a_push_is_read_in_whatever_form_it_comes(posted: str) -> None:
    """As what it is declared to be, or else as what it looks like; all are the same push."""
    body, kind = FORMS[posted]
    push = parse_push(body, kind)
    assert push.value == GOOD
    assert push.key == parse_push(form(REPORT), FORM).key
    assert (push.body, push.content_type) == (body, kind)


def test_an_audit_is_read_in_each_form() -> None:
    """Its text is part of what it says, line ends within it included."""
    said = AUDIT | {"msg": "含有\n敏感字符"}
    for body, kind in (
        (form(said), FORM),
        (multipart(said), MULTIPART),
        (as_json(said, code=0, templateid=123), JSON),
    ):
        assert audit(body, kind) == audit(form(said))


def test_files_among_the_parts_do_not_count() -> None:
    """Nor does what a part says of its own encoding."""
    more = b'------x\r\nContent-Disposition: form-data; name="code"; filename="a"\r\n\r\n0\r\n'
    typed = multipart(REPORT).replace(b"\r\n\r\n", b"\r\nContent-Type: text/plain\r\n\r\n")
    assert report(more + typed, MULTIPART) == GOOD


def test_what_json_holds_beside_text_stays_in_its_own_words() -> None:
    """Nothing of it is lost, nothing guessed."""
    value = report(as_json(REPORT, talktime=[1], mobilephone=True, extra={"甲": None}), JSON)
    assert (value.talk_time, value.mobile) == (None, "")
    assert [value.raw[name] for name in ("talktime", "mobilephone", "extra")] == [
        "[1]",
        "true",
        '{"甲": null}',
    ]


def test_a_raw_line_end_in_json_hides_neither_id_nor_code() -> None:
    """No JSON has one within a text; some programs write it so."""
    value = report(as_json(REPORT).replace("成功".encode(), b"a\nb"), JSON)
    assert (value.voice_id, value.code, value.msg) == ("60495654", 2, "a\nb")


DEEP = b"[" * 30_000


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (multipart(REPORT)[:-4], MULTIPART, "without its end"),
        (multipart(REPORT)[:60], MULTIPART, "without its end"),
        (b"------x--\r\n", MULTIPART, "neither"),
        (b"------x\r\n\r\n7\r\n------x--", MULTIPART, "without its name"),
        (b"------x\r\nX: y\r\n\r\n7\r\n------x--", MULTIPART, "without its name"),
        (b"------x\r\nno line is empty\r\n------x--", MULTIPART, "without its name"),
        (multipart(REPORT)[:-11] + multipart({"code": "0"}), MULTIPART, "'code' comes twice"),
        (b"", MULTIPART, "without its boundary"),
        (b"--\r\n", MULTIPART, "without its boundary"),
        (as_json(REPORT)[:-1], JSON, "no JSON"),
        (b"[" + as_json(REPORT) + b"]", JSON, "no object"),
        (b"7", JSON, "no object"),
        (b'{"voiceid":' + b"9" * 5000 + b"}", JSON, "no JSON"),
        (DEEP, JSON, "no JSON"),
        (as_json(REPORT, voiceid=6.0495654e7), JSON, "neither a text nor a whole number"),
        (as_json(REPORT, voiceid=True), JSON, "neither a text nor a whole number"),
        (as_json(REPORT, voiceid=["7"]), JSON, "neither a text nor a whole number"),
        (as_json(REPORT, voiceid=None), JSON, "neither a voiceid nor"),
        (as_json(REPORT, code=True), JSON, "code is not"),
        (as_json(REPORT)[:-1] + b', "code": "0"}', JSON, "'code' comes twice"),
        (gzip.compress(form(REPORT), mtime=0)[:-9], "application/gzip", "cut off"),
        (gzip.compress(b"x" * 2_000_000, mtime=0), "application/gzip", "too large"),
        (
            gzip.compress(gzip.compress(form(REPORT), mtime=0), mtime=0),
            "application/gzip",
            "gzip in a gzip",
        ),
        (b"\x1f\x8bxyz", "application/gzip", "no gzip"),
        (as_json(REPORT).decode().encode("utf-16"), JSON, "no JSON"),
    ],
)
def test_a_body_without_a_clear_meaning_is_unreadable(body: bytes, kind: str, reason: str) -> None:
    """Cut off, too deep, two values for a field; the reason is that of what it was said to be."""
    with pytest.raises(PushUnreadable, match=reason):
        parse_push(body, kind)


def test_what_is_as_deep_as_nobody_reads_it_harms_nothing() -> None:
    """Some Pythons read it, and then it is a report like any other; to others it is too deep."""
    body = b'{"voiceid":"7","code":2,"x":' + DEEP + b"]" * 30_000 + b"}"
    with suppress(PushUnreadable):
        assert parse_push(body, JSON).subject == "7"


PACKED = gzip.compress(gzip.compress(form(REPORT), mtime=0), mtime=0)
IN_WHOLE = {
    "a gzip in a gzip": PACKED,
    "a gzip that is cut off, or too large": PACKED[:-9],
    "no gzip that can be read": b"\x1f\x8bxyz",
    "no JSON that can be read": b"{",
    "JSON that is no object": b"[7]",
    "a voiceid that is neither a text nor a whole number": as_json(REPORT, voiceid=True),
    "a multipart form without its end": multipart(REPORT)[:-4],
    "a multipart form without its boundary": b"--\r\n",
    "a part of a multipart form without its name": b"------x\r\n\r\n7\r\n------x--",
    "neither a voiceid nor a templateid": form({"code": "2"}),
    "two ids": form(REPORT | AUDIT),
    "an id of 0": form(REPORT | {"voiceid": "0"}),
}


@pytest.mark.parametrize("reason", IN_WHOLE)
def test_the_reason_is_what_people_read_in_the_quarantine(reason: str) -> None:
    """These words, and no others."""
    with pytest.raises(PushUnreadable) as caught:
        parse_push(IN_WHOLE[reason])
    assert str(caught.value) == reason


def test_a_part_may_be_named_without_quotes() -> None:
    """As some programs write it."""
    bare = re.sub(rb'name="(\w+)"', rb"name=\1", multipart(REPORT))
    assert b'"' not in bare
    assert report(bare, MULTIPART) == GOOD


KINDS = st.sampled_from([FORM, MULTIPART, JSON, "", "multipart/form-data", "x/y+json"])
NAMES = st.sampled_from([*REPORT, *AUDIT, "VoiceId", "\ufeffcode", "x"])
VALUES = st.sampled_from(["2", "7", "", "\ufeff", "0", "-6"]) | st.text(max_size=20)


@given(st.dictionaries(NAMES, VALUES), KINDS, st.integers(0, 400), st.binary(max_size=9))
def test_any_body_in_any_form_is_a_push_or_unreadable(
    fields: dict[str, str], kind: str, cut: int, noise: bytes
) -> None:
    """Also with something in its middle that doesn't belong there."""
    for body in (form(fields), multipart(fields, encoding="utf-8"), as_json(fields)):
        try:
            push = parse_push(body[:cut] + noise + body[cut:], kind)
        except PushUnreadable:
            continue
        assert isinstance(push, Push)
        assert len(push.key) == 64
        assert push.subject.strip("0")
        assert isinstance(push.rank(0.0), int)
