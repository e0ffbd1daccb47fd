"""Asyncio client SDK for the 互亿无线 (ihuyi) voice-notification API.

async with VoiceClient("VM12345678", "api-key") as client:
    await client.submit("13900000000", "您的订单号是：9633。已由顺风快递发出，请注意查收。")
"""

from ihuyi_voice.bulk import BulkRun, Outcome, Progress
from ihuyi_voice.calls import RetryEvent, RetryPolicy
from ihuyi_voice.client import VoiceClient
from ihuyi_voice.errors import (
    AccessDenied,
    AccountUnavailable,
    BalanceExhausted,
    Blacklisted,
    ContentRejected,
    GuardUnavailable,
    InvalidCredentials,
    InvalidMobile,
    InvalidRequest,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    RunStopped,
    SubmissionFailed,
    TemplateExists,
    TemplateMismatch,
    TemplateNotFound,
    UnreadableReply,
    VendorError,
    VoiceError,
)
from ihuyi_voice.guards import Limits, MemoryGuard
from ihuyi_voice.inputs import Template
from ihuyi_voice.models import (
    Action,
    AddedTemplate,
    DeliveryReport,
    DeliveryStatus,
    Message,
    Operation,
    OutcomeStatus,
    RawReply,
    Submission,
    TemplateAudit,
)

__all__ = [
    "AccessDenied",
    "AccountUnavailable",
    "Action",
    "AddedTemplate",
    "BalanceExhausted",
    "Blacklisted",
    "BulkRun",
    "ContentRejected",
    "DeliveryReport",
    "DeliveryStatus",
    "GuardUnavailable",
    "InvalidCredentials",
    "InvalidMobile",
    "InvalidRequest",
    "Limits",
    "MemoryGuard",
    "Message",
    "NotSent",
    "Operation",
    "Outcome",
    "OutcomeStatus",
    "OutcomeUnknown",
    "Progress",
    "RateLimited",
    "RawReply",
    "RetryEvent",
    "RetryPolicy",
    "RunStopped",
    "Submission",
    "SubmissionFailed",
    "Template",
    "TemplateAudit",
    "TemplateExists",
    "TemplateMismatch",
    "TemplateNotFound",
    "UnreadableReply",
    "VendorError",
    "VoiceClient",
    "VoiceError",
]
