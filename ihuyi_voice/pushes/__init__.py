"""Delivery reports and template audits that the vendor pushes, received once, lost never.

Needs the extra `postgres` for an inbox on PostgreSQL.
"""

from ihuyi_voice.errors import InboxClosed, InboxUnavailable
from ihuyi_voice.models import DeliveryReport, DeliveryStatus, TemplateAudit
from ihuyi_voice.pushes.inbox import Inbox
from ihuyi_voice.pushes.options import Handling
from ihuyi_voice.pushes.quarantine import Quarantined
from ihuyi_voice.pushes.receiver import PushReceiver
from ihuyi_voice.pushes.table import PushState

__all__ = [
    "DeliveryReport",
    "DeliveryStatus",
    "Handling",
    "Inbox",
    "InboxClosed",
    "InboxUnavailable",
    "PushReceiver",
    "PushState",
    "Quarantined",
    "TemplateAudit",
]
