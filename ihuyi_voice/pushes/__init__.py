"""Delivery reports and template audits that the vendor pushes, received once, lost never.

Needs the extra `pushes`, and `postgres` for an inbox on PostgreSQL.
"""

from ihuyi_voice.pushes.errors import InboxClosed, InboxUnavailable
from ihuyi_voice.pushes.handling import Handling
from ihuyi_voice.pushes.inbox import Inbox
from ihuyi_voice.pushes.receiver import PushReceiver
from ihuyi_voice.pushes.store import PushState
from ihuyi_voice.reports import DeliveryReport, DeliveryStatus, TemplateAudit

__all__ = [
    "DeliveryReport",
    "DeliveryStatus",
    "Handling",
    "Inbox",
    "InboxClosed",
    "InboxUnavailable",
    "PushReceiver",
    "PushState",
    "TemplateAudit",
]
