"""Bytes to values: the forms that the vendor pushes (sections 4.5 and 6.2).

Whatever is for people (`msg`) is taken in any encoding; whatever is for programs must be what the
document says, or the push is refused: a guess would be believed by everybody behind us.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from hashlib import sha256
from typing import Final, TypeAlias
from urllib.parse import parse_qsl

import attrs

from ihuyi_voice.models import DeliveryReport, TemplateAudit
from ihuyi_voice.protocol.fields import ID, INTEGER, checked, once

CHINA: Final = timezone(timedelta(hours=8))
"""The vendor writes times without a zone; China Standard Time is the only sensible reading."""

_MOST_FIELDS: Final = 100
_CHARSETS: Final = {  # GB18030 reads its two forerunners too
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "gb18030": "gb18030",
}
_FALLBACKS: Final = ("utf-8", "gb18030")
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([\w.:-]{1,32})", re.ASCII | re.IGNORECASE)
_SECONDS: Final = re.compile(r"[0-9]{1,9}")
_MOBILE: Final = re.compile(r"[0-9*+ -]{0,32}")  # some of the vendor's services mask numbers
_TIME: Final = re.compile(
    r"(20\d\d)([-/])(\d{1,2})\2(\d{1,2})[ T](\d{1,2}):(\d{2}):(\d{2})", re.ASCII
)
_AUDIT_CODES: Final = {2: True, 0: False}

PushValue: TypeAlias = DeliveryReport | TemplateAudit


class PushKind(StrEnum):
    """The two kinds of push, told apart by their fields."""

    REPORT = "report"
    AUDIT = "audit"


class PushUnreadable(ValueError):
    """The body is no push of the vendor; the text says what is wrong with it."""


@attrs.frozen
class RawPush:
    """A push that can't be read, as it came: it is kept until a later version may read it.

    Attributes:
        body: The body as it came.
        content_type: Its Content-Type, empty if there was none.
        reason: What is wrong with it.
    """

    body: bytes = attrs.field(repr=False)
    content_type: str
    reason: str


@attrs.frozen
class Push:
    """A push as it came, and what it means.

    Attributes:
        value: What it means.
        body: The form as it came.
        content_type: Its Content-Type, empty if there was none.
    """

    value: PushValue
    body: bytes = attrs.field(repr=False)
    content_type: str = ""

    @property
    def kind(self) -> PushKind:
        """Which of the two it is."""
        return PushKind.REPORT if isinstance(self.value, DeliveryReport) else PushKind.AUDIT

    @property
    def subject(self) -> str:
        """Whose push it is: the voice id, or the template id."""
        if isinstance(self.value, DeliveryReport):
            return self.value.voice_id
        return self.value.template_id

    @property
    def key(self) -> str:
        """What the vendor's three tries of one push share, and no two pushes do (sha256, hex).

        Every field that a program reads takes part, so a later report of the same call is
        another push. A report's `msg` only repeats its code; an audit's is its reason.
        """
        text = "\n".join([self.kind, self.subject, *_particulars(self.value)])
        return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def rank(self, received_at: float) -> int:
        """Return its place among the pushes of its subject: a later status has the higher rank.

        Reports go by the vendor's time, and an answered call outranks another end in the same
        second. A report without a time counts as of its arrival (`received_at`, Unix seconds).
        Audits carry no time: they share a rank and keep the order in which they came.
        """
        if not isinstance(self.value, DeliveryReport):
            return 0
        time = self.value.report_time
        seconds = received_at if time is None else time.timestamp()
        return int(seconds) * 2 + self.value.answered


def _particulars(value: PushValue) -> list[str]:
    if isinstance(value, TemplateAudit):
        return [str(value.approved), value.msg]
    time = value.report_time.isoformat() if value.report_time else ""
    return [str(value.code), str(value.talk_time), time, value.mobile]


def parse_push(body: bytes, content_type: str = "") -> Push:
    """Return the push in `body` (sections 4.5 and 6.2).

    Args:
        body: A form, `application/x-www-form-urlencoded`.
        content_type: The whole header, of which the encoding counts. UTF-8 and the Chinese ones are
            believed; without one, or if it doesn't fit, UTF-8 is tried first, then GB18030.

    Raises:
        PushUnreadable: It is no push of the vendor, or its meaning would have to be guessed.
    """
    charset = _CHARSET.search(content_type)
    fields = _fields(body, charset[1] if charset else "")
    is_report, is_audit = bool(fields.get("voiceid")), bool(fields.get("templateid"))
    if is_report == is_audit:
        raise PushUnreadable("two ids" if is_report else "neither a voiceid nor a templateid")
    return Push(_report(fields) if is_report else _audit(fields), body, content_type)


def _report(fields: dict[str, str]) -> DeliveryReport:
    return DeliveryReport(
        voice_id=_id(fields["voiceid"], "voiceid"),
        code=_code(fields),
        mobile=_checked(fields.get("mobilephone", ""), _MOBILE, "mobilephone"),
        talk_time=int(_checked(fields.get("talktime") or "0", _SECONDS, "talktime")),
        report_time=_time(fields.get("report_time", "")),
        msg=fields.get("msg", ""),
    )


def _audit(fields: dict[str, str]) -> TemplateAudit:
    code = _code(fields)
    if code not in _AUDIT_CODES:
        raise PushUnreadable(f"an audit of code {code}, which is neither 2 nor 0")
    template_id = _id(fields["templateid"], "templateid")
    return TemplateAudit(template_id, _AUDIT_CODES[code], fields.get("msg", ""))


def _code(fields: dict[str, str]) -> int:
    return int(_checked(fields.get("code", ""), INTEGER, "code"))


def _id(value: str, name: str) -> str:
    if not value.strip("0"):
        raise PushUnreadable(f"a {name} of 0")
    return _checked(value, ID, name)


def _time(value: str) -> datetime | None:
    if not value:
        return None
    match = _TIME.fullmatch(value)
    if match is None:
        raise PushUnreadable("report_time is not what it should be")
    year, _, *rest = match.groups()
    try:
        month, day, hour, minute, second = map(int, rest)
        return datetime(int(year), month, day, hour, minute, second, tzinfo=CHINA)
    except ValueError as exc:
        raise PushUnreadable("report_time is no date") from exc


def _checked(value: str, pattern: re.Pattern[str], name: str) -> str:
    return checked(value, pattern, name, PushUnreadable)[0]


def _fields(body: bytes, charset: str) -> dict[str, str]:
    # Latin-1 there and back keeps every byte, percent-encoded or raw.
    try:
        pairs = parse_qsl(
            body.decode("latin-1"),
            keep_blank_values=True,
            max_num_fields=_MOST_FIELDS,
            encoding="latin-1",
        )
    except ValueError as exc:
        raise PushUnreadable(f"more than {_MOST_FIELDS} fields") from exc
    encodings = _encodings(charset)
    decoded = (
        (name.strip().lower(), _decode(value.encode("latin-1"), encodings).strip())
        for name, value in pairs
    )
    return once(decoded, PushUnreadable)


def _encodings(charset: str) -> Iterable[str]:
    declared = _CHARSETS.get(charset.lower())
    return _FALLBACKS if declared is None else (declared, *_FALLBACKS)


def _decode(value: bytes, encodings: Iterable[str]) -> str:
    for encoding in encodings:
        try:
            return value.decode(encoding)
        except UnicodeDecodeError:
            continue
    return value.decode("utf-8", "replace")
