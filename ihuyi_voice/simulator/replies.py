"""The body of a reply, byte-shaped as the vendor's, and the oddities that were seen of it."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from ihuyi_voice.simulator import tables
from ihuyi_voice.simulator.vendor import Answer

_WRONG_PASSWORD: Final = 405
_NAMESPACE: Final = "http://106.ihuyi.com/"
_JSON: Final = b"application/json; charset=utf-8"
_XML: Final = b"text/xml; charset=utf-8"


class Quirk(StrEnum):
    """What may be odd about replies, though they say what they have to.

    Attributes:
        SMSID: A call's id comes as `smsid`, beside a `voiceid` of 0.
        DECIMALS: The balance comes as `856.00`.
        RAW_MSG: The `msg` of XML holds a `&` and a `<` as they are.
        BARE_NAMESPACE: The namespace of XML has no scheme.
        SWAPPED_TYPES: The code of JSON is a text, and its ids are numbers.
        NO_ID: A failure has no id, rather than one of 0.
        ECHO: A 405 repeats account and password, which the caller must not log.
        OTHER_FORMAT: XML comes where JSON was asked for, and JSON where XML was.
    """

    SMSID = "smsid"
    DECIMALS = "decimals"
    RAW_MSG = "raw_msg"
    BARE_NAMESPACE = "bare_namespace"
    SWAPPED_TYPES = "swapped_types"
    NO_ID = "no_id"
    ECHO = "echo"
    OTHER_FORMAT = "other_format"


class HttpReply(NamedTuple):
    """An answer over HTTP: its body, content type and status."""

    body: bytes
    kind: bytes
    status: int = 200


def write_reply(
    operation: str, answer: Answer, fields: Mapping[str, str], quirks: Collection[Quirk] = ()
) -> HttpReply:
    """Return the reply to an operation, in the format that its fields ask for: `json`, else XML."""
    as_json = (fields.get("format") == "json") is (Quirk.OTHER_FORMAT not in quirks)
    root, name, nothing = tables.SHAPES[operation]
    msg = tables.TEXTS[operation].get(answer.code) or tables.SEEN.get(answer.code, "")
    ids = {} if name is None else {name: nothing if answer.value is None else answer.value}
    if quirks:
        if Quirk.ECHO in quirks and answer.code == _WRONG_PASSWORD:
            msg = f"{msg} account={fields.get('account')} password={fields.get('password')}"
        msg, ids = _oddly(quirks, answer, msg, ids)
    if as_json:
        return HttpReply(_json(answer.code, msg, ids, Quirk.SWAPPED_TYPES in quirks), _JSON)
    namespace = "106.ihuyi.com" if Quirk.BARE_NAMESPACE in quirks else _NAMESPACE
    return HttpReply(_xml(root, namespace, answer.code, msg, ids), _XML)


def _oddly(
    quirks: Collection[Quirk], answer: Answer, msg: str, ids: dict[str, str]
) -> tuple[str, dict[str, str]]:
    if Quirk.RAW_MSG in quirks:
        msg = f"{msg}（1<2 & A&B）"
    if Quirk.NO_ID in quirks and answer.value is None:
        ids = {}
    if Quirk.SMSID in quirks and "voiceid" in ids:
        ids = {"voiceid": "0", "smsid": ids["voiceid"]}
    if Quirk.DECIMALS in quirks and "num" in ids:
        ids = {"num": f"{ids['num']}.00"}
    return msg, ids


def _json(code: int, msg: str, ids: dict[str, str], swapped: bool) -> bytes:  # noqa: FBT001 - private
    mark, other = ("", '"') if swapped else ('"', "")
    tail = "".join(f',"{name}":{mark}{value}{mark}' for name, value in ids.items())
    return f'{{"code":{other}{code}{other},"msg":"{msg}"{tail}}}'.encode()


def _xml(root: str, namespace: str, code: int, msg: str, ids: dict[str, str]) -> bytes:
    tail = "".join(f"<{name}>{value}</{name}>\n" for name, value in ids.items())
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<{root} xmlns="{namespace}">\n'
        f"<code>{code}</code>\n<msg>{msg}</msg>\n{tail}</{root}>\n"
    ).encode()
