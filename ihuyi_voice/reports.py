"""What the vendor pushes: how a call ended (section 6.2), how a template's audit ended (4.5)."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from typing import Any, Final, Self

import attrs

from ihuyi_voice.common.redaction import mask_mobile, mask_numbers
from ihuyi_voice.common.schemas import Shape, dict_schema

CHINA: Final = timezone(timedelta(hours=8))
"""The vendor writes times without a zone; China Standard Time is the only sensible reading."""

_SUCCESS: Final = 2


class DeliveryStatus(StrEnum):
    """How a call ended; UNLISTED stands for every code that section 6.2 does not list."""

    ANSWERED = "answered"
    UNKNOWN_ERROR = "unknown_error"
    POWERED_OFF = "powered_off"
    SUSPENDED = "suspended"
    UNREACHABLE = "unreachable"
    BUSY = "busy"
    NO_SUCH_NUMBER = "no_such_number"
    NO_ANSWER = "no_answer"
    INCOMING_BARRED = "incoming_barred"
    NETWORK_BUSY = "network_busy"
    OUTGOING_BARRED = "outgoing_barred"
    LINE_BUSY = "line_busy"
    DECLINED = "declined"
    UNLISTED = "unlisted"


@attrs.frozen
class StatusRow:
    """One row of the table of section 6.2: the code, the vendor's text, and our name for it."""

    code: int
    text: str
    status: DeliveryStatus


DELIVERY_STATUSES: Final = {
    code: StatusRow(code, text, status)
    for code, text, status in (
        (2, "成功", DeliveryStatus.ANSWERED),
        (0, "未知错误", DeliveryStatus.UNKNOWN_ERROR),
        (-1, "关机", DeliveryStatus.POWERED_OFF),
        (-2, "停机", DeliveryStatus.SUSPENDED),
        (-3, "暂时无法接通", DeliveryStatus.UNREACHABLE),
        (-4, "正在通话", DeliveryStatus.BUSY),
        (-5, "空号", DeliveryStatus.NO_SUCH_NUMBER),
        (-6, "无人接听", DeliveryStatus.NO_ANSWER),
        (-8, "呼入限制", DeliveryStatus.INCOMING_BARRED),
        (-9, "网络忙", DeliveryStatus.NETWORK_BUSY),
        (-10, "呼出限制", DeliveryStatus.OUTGOING_BARRED),
        (-11, "线路忙", DeliveryStatus.LINE_BUSY),
        (-12, "用户拒接", DeliveryStatus.DECLINED),
    )
}


class Fields(Mapping[str, str]):
    """Fields as they came: a mapping that nobody changes, and whose repr masks numbers."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = dict(fields)

    def __getitem__(self, name: str) -> str:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return mask_numbers(repr(self._fields))


_REPORT: Final[Shape] = {
    "voice_id": str,
    "code": int,
    "status": str,
    "text": str,
    "answered": bool,
    "mobile": str,
    "talk_time": int | None,
    "report_time": str | None,
    "msg": str,
    "raw": dict[str, str],
    "seq": int | None,
}


@attrs.frozen
class DeliveryReport:
    """How a call ended (section 6.2).

    Attributes:
        voice_id: The vendor's serial number, as `Submission.voice_id`.
        code: The vendor's code; unlisted ones are kept as they came.
        mobile: The number that was called, as the vendor writes it, empty if it left it out or
            wrote what is no number; the repr masks it.
        talk_time: Whole seconds that the call lasted; 0 if the vendor left it out, None if it
            wrote what is no number of seconds.
        report_time: When it ended, aware and in +08:00; None if the vendor left it out or wrote
            what is no time.
        msg: The vendor's text.
        raw: Every field as the vendor wrote it, by its name there, in lower case.
        seq: Its number in the inbox that it came from, from which `Inbox.reports` can go on.
    """

    voice_id: str
    code: int
    mobile: str = attrs.field(default="", repr=mask_mobile)
    talk_time: int | None = 0
    report_time: datetime | None = None
    msg: str = attrs.field(default="", repr=mask_numbers)
    raw: Mapping[str, str] = attrs.field(factory=lambda: Fields({}), eq=False, repr=False)
    seq: int | None = attrs.field(default=None, eq=False)

    @property
    def status(self) -> DeliveryStatus:
        """The code's meaning; UNLISTED for codes that the vendor's table does not have."""
        row = DELIVERY_STATUSES.get(self.code)
        return DeliveryStatus.UNLISTED if row is None else row.status

    @property
    def text(self) -> str:
        """The table's text for the code, and the vendor's own for an unlisted one."""
        row = DELIVERY_STATUSES.get(self.code)
        return self.msg if row is None else row.text

    @property
    def answered(self) -> bool:
        """Whether somebody picked up: code 2."""
        return self.code == _SUCCESS

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it; the number is whole, and `report_time` in ISO 8601."""
        when = self.report_time
        return {
            "voice_id": self.voice_id,
            "code": self.code,
            "status": self.status.value,
            "text": self.text,
            "answered": self.answered,
            "mobile": self.mobile,
            "talk_time": self.talk_time,
            "report_time": None if when is None else when.isoformat(),
            "msg": self.msg,
            "raw": dict(self.raw),
            "seq": self.seq,
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Return what `to_dict` made a dict of; what follows from `code` is not read.

        Raises:
            KeyError: There is no `voice_id`, or no `code`.
        """
        when = given.get("report_time")
        return cls(
            str(given["voice_id"]),
            given["code"],
            given.get("mobile", ""),
            given.get("talk_time", 0),
            datetime.fromisoformat(when) if isinstance(when, str) else when,
            given.get("msg", ""),
            Fields(given.get("raw") or {}),
            given.get("seq"),
        )

    @classmethod
    def __get_pydantic_core_schema__(cls, _: object, handler: Callable[[Any], Any]) -> Any:  # noqa: ANN401
        """Tell pydantic how it is read and shown."""
        return dict_schema(cls, _REPORT, cls.from_dict, handler)


@attrs.frozen
class TemplateAudit:
    """How the audit of a template ended (section 4.5).

    Attributes:
        template_id: The vendor's id, as `AddedTemplate.template_id`.
        approved: Whether it may be used from now on (code 2), or was turned down (code 0).
        msg: The vendor's text; the reason, if it was turned down.
    """

    template_id: str
    approved: bool
    msg: str = ""
