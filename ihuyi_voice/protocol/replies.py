"""Bytes to values: replies in XML or JSON, whichever came, whichever was asked for.

`read_reply` is the whole way: a `RawReply` to an `Answer`, or the typed error that it means.
"""

import json
import re
from functools import lru_cache, partial
from html import unescape
from typing import TYPE_CHECKING, Any, Final

import attrs

from ihuyi_voice.common.redaction import Redactor, mask_numbers
from ihuyi_voice.errors import UnreadableReply, VendorError, VoiceError
from ihuyi_voice.models import Operation, RawReply
from ihuyi_voice.protocol.codes import SUCCESS, vendor_error
from ihuyi_voice.protocol.fields import ID, INTEGER, checked, once

if TYPE_CHECKING:
    from lxml import etree

MAX_REPLY_BYTES: Final = 65_536
"""The largest reply that is read; the vendor's have about 200 bytes."""

_ID_FIELDS: Final = {
    Operation.SUBMIT: ("voiceid", "smsid"),  # smsid: as a sibling service of the vendor names it
    Operation.BALANCE: ("num",),
    Operation.ADD_TEMPLATE: ("templateid",),
    Operation.DELETE_TEMPLATE: (),
}
_REDIRECTS: Final = range(300, 400)
_LONGEST_PLACE: Final = 200  # characters
_NO_ID: Final = frozenset({"", "0"})
_BALANCE: Final = re.compile(r"(-?[0-9]{1,18})(?:\.0{1,6})?")  # 856.00 was seen
_BOM: Final = b"\xef\xbb\xbf"


# What the vendor's own sample reads replies with; it survives a raw `&` or `<` in `msg`.
_WHOLE: Final = re.compile(
    rb"(?:<\?xml[^>]*\?>)?\s*<([A-Za-z][\w.-]*)(?:\s[^<>]*)?>(?P<leaves>.*)</\1\s*>", re.DOTALL
)
_LEAF: Final = re.compile(
    rb"\s*<(?:[A-Za-z][\w.-]*:)?(?P<name>[A-Za-z]\w*)(?:\s[^<>]*)?>(?P<text>.*?)</(?:[A-Za-z][\w.-]*:)?(?P=name)\s*>",
    re.DOTALL,
)


# The captured form, byte for byte but for its values: read so, it costs a tenth of an XML parser.
_USUAL: Final = re.compile(
    rb'(?:<\?xml version="1\.0" encoding="utf-8"\?>[ \t\r\n]*)?'
    rb'<([A-Za-z]{1,32})(?: xmlns="[\w:/.-]*")?>[ \t\r\n]*'
    rb"<code>[ \t\r\n]*(-?[0-9]{1,9})[ \t\r\n]*</code>[ \t\r\n]*"
    rb"<msg>([^<>&\x00-\x1f]*)</msg>[ \t\r\n]*"
    rb"(?:<(voiceid|smsid|num|templateid)>[ \t\r\n]*([\w.-]{0,64})[ \t\r\n]*</\4>[ \t\r\n]*)?"
    rb"</\1>[ \t\r\n]*"
)
_IDS: Final = frozenset({b"voiceid", b"smsid"})
_NO_CHARACTERS: Final = b"\xef\xbf"  # U+FFFE and U+FFFF, which XML doesn't have, begin so


class ReplyUnreadable(ValueError):
    """The body is not a reply of the vendor; the text says what is wrong with it."""


@attrs.define  # likewise
class Reply:
    """What the vendor said.

    Attributes:
        code: 2 is success.
        msg: For people; may echo what was sent, so it is redacted before it is shown.
        value: The id (`voiceid`, `templateid`) or the balance (`num`) of a successful reply; ids
            have up to 20 digits and stay strings. Empty where there is none.
    """

    code: int
    msg: str = attrs.field(repr=False)
    value: str = ""


@attrs.define  # not frozen: one is made for each call, and that costs more
class Answer:
    """The vendor said yes.

    Attributes:
        value: The id or the balance, empty for a deletion.
        msg: The vendor's text, redacted.
        raw: The reply as it came, sealed.
    """

    value: str
    msg: str
    raw: RawReply


def read_reply(operation: Operation, raw: RawReply, redact: Redactor) -> Answer:
    """Return the answer in a reply (sections 2.3, 3.3, 4.3 and 5.3).

    Args:
        operation: What was asked.
        raw: What came.
        redact: Takes the caller's key out of what the vendor echoes.

    Raises:
        UnreadableReply: It is no reply of the vendor; its own failures come with HTTP 200.
        VendorError: The vendor replied a code that is not success.
    """
    sealed = raw.sealed(redact)
    if not 200 <= raw.status < 300:  # noqa: PLR2004 - the vendor's own failures come with 200
        raise _with_evidence(_unreadable(_status(raw, redact), sealed), sealed)
    try:
        reply = parse_reply(operation, raw.content)
    except ReplyUnreadable as exc:
        raise _with_evidence(_unreadable(redact(str(exc)), sealed), sealed) from exc
    msg = mask_numbers(reply.msg) if sealed is raw else redact(reply.msg)
    if reply.code == SUCCESS:
        return Answer(reply.value, msg, sealed)
    raise _with_evidence(vendor_error(operation, reply.code, msg), sealed)


def _status(raw: RawReply, redact: Redactor) -> str:
    place = redact(raw.points_to)[:_LONGEST_PLACE] if raw.status in _REDIRECTS else ""
    return f"HTTP {raw.status} to {place}" if place else f"HTTP {raw.status}"


def _unreadable(reason: str, raw: RawReply) -> UnreadableReply:
    return UnreadableReply(f"unreadable reply ({reason}): {raw.excerpt!r}")


def _with_evidence(error: UnreadableReply | VendorError, raw: RawReply) -> VoiceError:
    error.raw = raw
    return error


def parse_reply(operation: Operation, body: bytes) -> Reply:
    """Return the reply in `body` (sections 2.3, 3.3, 4.3 and 5.3).

    Raises:
        ReplyUnreadable: It is no reply of the vendor, or a success that lacks its id.
    """
    usual = _USUAL.fullmatch(body) if len(body) <= MAX_REPLY_BYTES else None
    reply = usual and _usual_reply(operation, usual)
    if reply:
        return reply
    fields = _fields(body)
    code = _integer(fields.get("code"))
    msg = _text(fields.get("msg"), "msg")
    if code != 2:  # noqa: PLR2004 - success, section 2.3
        return Reply(code, msg)
    return Reply(code, msg, _value(operation, fields))


def _fields(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_REPLY_BYTES:
        raise ReplyUnreadable(f"longer than {MAX_REPLY_BYTES} bytes")
    body = body.removeprefix(_BOM).strip()
    if body.startswith(b"<"):
        return _xml_fields(body)
    if body.startswith(b"{"):
        return _json_fields(body)
    raise ReplyUnreadable("neither XML nor JSON" if body else "empty body")


@lru_cache(maxsize=1)
def _parser() -> "etree.XMLParser":
    """Return the parser; one for all: lxml locks it while it is in use, also among threads."""
    from lxml import etree  # noqa: PLC0415 - the usual form of a reply never needs it

    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
    )


def _parsed(body: bytes) -> Any:  # noqa: ANN401 - an element of lxml
    """Return the root of a document.

    Raises:
        ValueError: It is no XML.
    """
    from lxml import etree  # noqa: PLC0415 - as above

    try:
        return etree.fromstring(body, _parser())
    except etree.XMLSyntaxError as exc:
        raise ValueError(str(exc)) from exc


def _xml_fields(body: bytes) -> dict[str, Any]:
    if b"<!" in body:
        _refuse_document_type(body)
    try:
        root = _parsed(body)
    except ValueError as exc:
        return _fields_of_broken_xml(body, f"broken XML: {exc}")
    leaves = [
        (_local_name(child.tag), None if len(child) else (child.text or "").strip())
        for child in root  # None is refused wherever a text is needed; extra fields may nest
    ]
    return once(leaves, ReplyUnreadable)


def _usual_reply(operation: Operation, usual: re.Match[bytes]) -> Reply | None:
    """Return a refusal, or an accepted submission, in the usual form; None for all else."""
    _, code, msg, name, value = usual.groups()
    if _NO_CHARACTERS in msg:
        return None
    try:
        reply = Reply(int(code), msg.decode().strip())
    except UnicodeDecodeError:
        return None
    if reply.code != SUCCESS:
        return reply
    reply.value = value.decode() if operation is Operation.SUBMIT and name in _IDS else ""
    return None if reply.value in _NO_ID else reply


def _refuse_document_type(body: bytes) -> None:
    try:
        info = _parsed(body).getroottree().docinfo
    except ValueError as exc:
        raise ReplyUnreadable(f"broken XML: {exc}") from exc
    if info.internalDTD is not None:
        raise ReplyUnreadable("XML with a document type, which the vendor never sends")


def _fields_of_broken_xml(body: bytes, reason: str) -> dict[str, Any]:
    """Read what is XML but for a text that nobody escaped; it must be whole, leaf by leaf."""
    whole = _WHOLE.fullmatch(body)
    if whole is None:
        raise ReplyUnreadable(reason)
    pairs: list[tuple[str, str]] = []
    leaves, place = whole["leaves"].strip(), 0
    while place < len(leaves):
        leaf = _LEAF.match(leaves, place)
        if leaf is None:
            raise ReplyUnreadable(reason)
        pairs.append((leaf["name"].decode().lower(), _unescaped(leaf["text"])))
        place = leaf.end()
    return once(pairs, ReplyUnreadable)


def _unescaped(text: bytes) -> str:
    return unescape(text.decode("utf-8", "replace")).strip()


@lru_cache(64)
def _local_name(tag: object) -> str:
    return str(tag).rpartition("}")[2].lower()


def _json_fields(body: bytes) -> dict[str, Any]:
    text = body.decode("utf-8", "replace")  # what is odd in `msg` must not hide the code
    pairs = partial(once, error=ReplyUnreadable)
    try:
        return dict(json.loads(text, object_pairs_hook=pairs, strict=False))
    except ReplyUnreadable:
        raise
    except (ValueError, RecursionError) as exc:
        raise ReplyUnreadable(f"broken JSON: {type(exc).__name__}") from exc


def _integer(value: object) -> int:
    if isinstance(value, str) and INTEGER.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ReplyUnreadable("no code" if value is None else "the code is no integer")


def _text(value: object, name: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None:
        return ""
    raise ReplyUnreadable(f"{name} is no text")


def _value(operation: Operation, fields: dict[str, Any]) -> str:
    names = _ID_FIELDS[operation]
    if not names:
        return ""
    if operation is Operation.BALANCE:
        return _balance(fields.get("num"))
    texts = [_text(fields[name], name).strip() for name in names if name in fields]
    value = next((text for text in texts if text not in _NO_ID), "")
    if not value:
        raise ReplyUnreadable(f"code 2 without a {names[0]}")
    return checked(value, ID, names[0], ReplyUnreadable)[0]


def _balance(num: object) -> str:
    return checked(str(num).strip(), _BALANCE, "num", ReplyUnreadable)[1]
