"""What the vendor pushes: how a call ended (section 6.2) and how a template's audit ended (4.5)."""

from datetime import datetime
from enum import StrEnum
from typing import Final

import attrs

from ihuyi_voice.redaction import mask_mobile, mask_numbers

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


@attrs.frozen
class DeliveryReport:
    """How a call ended (section 6.2).

    Attributes:
        voice_id: The vendor's serial number, as `Submission.voice_id`.
        code: The vendor's code; unlisted ones are kept as they came.
        mobile: The number that was called, empty if the vendor left it out; the repr masks it.
        talk_time: Seconds that the call lasted; 0 if the vendor left it out.
        report_time: When it ended, aware and in +08:00; None if the vendor left it out.
        msg: The vendor's text.
    """

    voice_id: str
    code: int
    mobile: str = attrs.field(default="", repr=mask_mobile)
    talk_time: int = 0
    report_time: datetime | None = None
    msg: str = attrs.field(default="", repr=mask_numbers)

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
