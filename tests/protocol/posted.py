"""Pushes as the vendor posts them, to be read as pure functions."""

from typing import Final
from urllib.parse import urlencode

from ihuyi_voice.models import DeliveryReport, TemplateAudit
from ihuyi_voice.protocol import parse_push

FORM: Final = "application/x-www-form-urlencoded"
# Section 6.2, its example of a time, and section 2.4's voice id.
REPORT = {
    "code": "2",
    "msg": "成功",
    "mobilephone": "13900000000",
    "talktime": "12",
    "voiceid": "60495654",
    "report_time": "2018-05-24 17:46:50",
}
AUDIT = {"code": "0", "msg": "含有敏感字符", "templateid": "123"}


def form(fields: dict[str, str], **changes: str) -> bytes:
    """Return a form as the vendor posts it."""
    return urlencode(fields | changes).encode()


def without(fields: dict[str, str], *names: str) -> dict[str, str]:
    """Return the other fields."""
    return {name: value for name, value in fields.items() if name not in names}


def report(body: bytes, kind: str = FORM) -> DeliveryReport:
    """Parse a report."""
    value = parse_push(body, kind).value
    assert isinstance(value, DeliveryReport)
    return value


def audit(body: bytes, kind: str = FORM) -> TemplateAudit:
    """Parse an audit."""
    value = parse_push(body, kind).value
    assert isinstance(value, TemplateAudit)
    return value
