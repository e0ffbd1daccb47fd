"""Asyncio client SDK for the 互亿无线 (ihuyi) voice-notification API.

async with VoiceClient("VM12345678", "api-key") as client:
    await client.submit("13900000000", "您的订单号是：9633。已由顺风快递发出，请注意查收。")
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ihuyi_voice.bulk import BulkRun, Outcome, Progress
    from ihuyi_voice.calls import RetryEvent, RetryPolicy
    from ihuyi_voice.client import VoiceClient
    from ihuyi_voice.errors import (
        AccessDenied,
        AccountUnavailable,
        BalanceExhausted,
        Blacklisted,
        CallInFlight,
        ContentRejected,
        GuardUnavailable,
        InvalidCredentials,
        InvalidMobile,
        InvalidRequest,
        LedgerClosed,
        LedgerUnavailable,
        NotSent,
        OutcomeUnknown,
        RateLimited,
        RunInUse,
        RunStopped,
        SubmissionFailed,
        TemplateExists,
        TemplateMismatch,
        TemplateNotFound,
        UnreadableReply,
        VendorError,
        VoiceError,
    )
    from ihuyi_voice.guards import Limits, MemoryGuard, QuietHours
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
    "CallInFlight",
    "ContentRejected",
    "DeliveryReport",
    "DeliveryStatus",
    "GuardUnavailable",
    "InvalidCredentials",
    "InvalidMobile",
    "InvalidRequest",
    "LedgerClosed",
    "LedgerUnavailable",
    "Limits",
    "MemoryGuard",
    "Message",
    "NotSent",
    "Operation",
    "Outcome",
    "OutcomeStatus",
    "OutcomeUnknown",
    "Progress",
    "QuietHours",
    "RateLimited",
    "RawReply",
    "RetryEvent",
    "RetryPolicy",
    "RunInUse",
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


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        from ihuyi_voice.common.doors import found  # noqa: PLC0415 - so are all the others

        return found(__name__, name)
