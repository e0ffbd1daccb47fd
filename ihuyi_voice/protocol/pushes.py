"""Fields to values: what the vendor pushes (sections 4.5 and 6.2).

Strict about the id and the code, by which programs act: a guess would be believed by everybody
behind us. Lenient about the rest, which informs: what means something is read, and anything else is
left out, with the vendor's own words in `DeliveryReport.raw`.
"""

import re
from enum import StrEnum
from hashlib import sha256
from typing import Final, TypeAlias

import attrs

from ihuyi_voice.models import DeliveryReport, Fields, TemplateAudit
from ihuyi_voice.protocol.fields import ID, checked
from ihuyi_voice.protocol.forms import IDS, PushUnreadable, read_fields
from ihuyi_voice.protocol.times import read_time

_CODE: Final = re.compile(r"([+-]?[0-9]{1,9})(?:\.0{1,9})?")
_SECONDS: Final = re.compile(r"([0-9]{1,9})(?:\.[0-9]*)? *(?:s|sec|秒)?", re.IGNORECASE)
_MOBILE: Final = re.compile(r"[0-9*xX+() -]{0,32}")  # some of the vendor's services mask numbers
_AUDIT_CODES: Final = {2: True, 0: False}

PushValue: TypeAlias = DeliveryReport | TemplateAudit


class PushKind(StrEnum):
    """The two kinds of push, told apart by their fields."""

    REPORT = "report"
    AUDIT = "audit"


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
        body: The body as it came.
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
    """Return what tells apart two pushes of a kind and a subject; what isn't read as it came."""
    if isinstance(value, TemplateAudit):
        return [str(value.approved), value.msg]
    time = value.report_time.isoformat() if value.report_time else _unread(value, "report_time")
    talked = _unread(value, "talktime") if value.talk_time is None else str(value.talk_time)
    return [str(value.code), talked, time, value.mobile or _unread(value, "mobilephone")]


def _unread(report: DeliveryReport, name: str) -> str:
    text = report.raw.get(name)
    return ascii(text) if text else ""


def parse_push(body: bytes, content_type: str = "") -> Push:
    """Return the push in `body` (sections 4.5 and 6.2).

    Args:
        body: A form, also multipart, or a JSON object.
        content_type: The whole header, empty if there is none. The encoding that it declares is
            believed if it is UTF-8 or a Chinese one; without one, or if it doesn't fit, UTF-8 is
            tried first, then GB18030.

    Raises:
        PushUnreadable: It is no push of the vendor, or its id or its code would have to be guessed.
    """
    fields = read_fields(body, content_type)
    ids = [name for name in IDS if fields.get(name, "").strip("0")]
    if len(ids) != 1:
        raise PushUnreadable("two ids" if ids else "an id of 0")
    value = _report(fields) if ids == ["voiceid"] else _audit(fields)
    return Push(value, body, content_type)


def _report(fields: dict[str, str]) -> DeliveryReport:
    mobile = fields.get("mobilephone", "")
    return DeliveryReport(
        voice_id=checked(fields["voiceid"], ID, "voiceid", PushUnreadable)[0],
        code=_code(fields),
        mobile=mobile if _MOBILE.fullmatch(mobile) else "",
        talk_time=_talk_time(fields.get("talktime") or "0"),
        report_time=read_time(fields.get("report_time", "")),
        msg=fields.get("msg", ""),
        raw=Fields(fields),
    )


def _audit(fields: dict[str, str]) -> TemplateAudit:
    code = _code(fields)
    if code not in _AUDIT_CODES:
        raise PushUnreadable(f"an audit of code {code}, which is neither 2 nor 0")
    template_id = checked(fields["templateid"], ID, "templateid", PushUnreadable)[0]
    return TemplateAudit(template_id, _AUDIT_CODES[code], fields.get("msg", ""))


def _code(fields: dict[str, str]) -> int:
    return int(checked(fields.get("code", ""), _CODE, "code", PushUnreadable)[1])


def _talk_time(text: str) -> int | None:
    match = _SECONDS.fullmatch(text)
    return int(match[1]) if match else None
