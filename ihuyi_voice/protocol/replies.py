"""Bytes to values: replies in XML or JSON, whichever came, whichever was asked for."""

import json
import re
from functools import partial
from typing import Any, Final

import attrs
from lxml import etree

from ihuyi_voice.models import Operation
from ihuyi_voice.protocol.fields import once

MAX_REPLY_BYTES: Final = 65_536
"""The largest reply that is read; the vendor's have about 200 bytes."""

_ID_FIELDS: Final = {
    Operation.SUBMIT: ("voiceid", "smsid"),  # smsid: as a sibling service of the vendor names it
    Operation.BALANCE: ("num",),
    Operation.ADD_TEMPLATE: ("templateid",),
    Operation.DELETE_TEMPLATE: (),
}
_NO_ID: Final = frozenset({"", "0"})
_INTEGER: Final = re.compile(r"-?[0-9]{1,9}")
_BALANCE: Final = re.compile(r"-?[0-9]{1,18}")
_BOM: Final = b"\xef\xbb\xbf"
# The document writes ids as short as 8 digits; 20 digits were seen. A page of text is no id.
_ID: Final = re.compile(r"[0-9A-Za-z_.-]{1,64}")


# One for all: lxml locks a parser while it is in use, also among threads.
_PARSER: Final = etree.XMLParser(
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    remove_comments=True,
    remove_pis=True,
)


class ReplyUnreadable(ValueError):
    """The body is not a reply of the vendor; the text says what is wrong with it."""


@attrs.frozen
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


def parse_reply(operation: Operation, body: bytes) -> Reply:
    """Return the reply in `body` (sections 2.3, 3.3, 4.3 and 5.3).

    Raises:
        ReplyUnreadable: It is no reply of the vendor, or a success that lacks its id.
    """
    fields = _fields(body)
    code = _integer(fields.get("code"))
    msg = _text(fields.get("msg", ""), "msg")
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


def _xml_fields(body: bytes) -> dict[str, Any]:
    try:
        root = etree.fromstring(body, _PARSER)
    except (etree.XMLSyntaxError, ValueError) as exc:
        raise ReplyUnreadable(f"broken XML: {exc}") from exc
    if root.getroottree().docinfo.internalDTD is not None:
        raise ReplyUnreadable("XML with a document type, which the vendor never sends")
    return once(((_local_name(child.tag), _leaf(child)) for child in root), ReplyUnreadable)


def _local_name(tag: object) -> str:
    return str(tag).rpartition("}")[2].lower()


def _leaf(element: Any) -> Any:  # noqa: ANN401 - lxml keeps its element type private
    # None is refused wherever a text is needed; extra fields may nest as they like.
    return None if len(element) else (element.text or "").strip()


def _json_fields(body: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(body, object_pairs_hook=partial(once, error=ReplyUnreadable)))
    except ReplyUnreadable:
        raise
    except (ValueError, RecursionError) as exc:
        raise ReplyUnreadable(f"broken JSON: {type(exc).__name__}") from exc


def _integer(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
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
    found = next((fields[name] for name in names if name in fields), "")
    value = _text(found, names[0]).strip()
    if operation is Operation.BALANCE:
        return _checked(value, _BALANCE, names[0])
    if value in _NO_ID:
        raise ReplyUnreadable(f"code 2 without a {names[0]}")
    return _checked(value, _ID, names[0])


def _checked(value: str, pattern: re.Pattern[str], name: str) -> str:
    if pattern.fullmatch(value):
        return value
    raise ReplyUnreadable(f"{name} is not what it should be")
