"""Where the package's public names are at home: they are imported when they are asked for.

Importing the package costs next to nothing then, and who needs an error or a value loads no HTTP.
"""

from importlib import import_module
from typing import Final

HOMES: Final[dict[str, tuple[str, ...]]] = {
    "bulk": ("BulkRun", "Outcome", "Progress"),
    "calls": ("RetryEvent", "RetryPolicy"),
    "client": ("VoiceClient",),
    "errors": (
        "AccessDenied",
        "AccountUnavailable",
        "BalanceExhausted",
        "Blacklisted",
        "CallInFlight",
        "ContentRejected",
        "GuardUnavailable",
        "InvalidCredentials",
        "InvalidMobile",
        "InvalidRequest",
        "LedgerClosed",
        "LedgerUnavailable",
        "NotSent",
        "OutcomeUnknown",
        "RateLimited",
        "RunInUse",
        "RunStopped",
        "SubmissionFailed",
        "TemplateExists",
        "TemplateMismatch",
        "TemplateNotFound",
        "UnreadableReply",
        "VendorError",
        "VoiceError",
    ),
    "guards": ("Limits", "MemoryGuard", "QuietHours"),
    "inputs": ("Template",),
    "models": (
        "Action",
        "AddedTemplate",
        "DeliveryReport",
        "DeliveryStatus",
        "Message",
        "Operation",
        "OutcomeStatus",
        "RawReply",
        "Submission",
        "TemplateAudit",
    ),
}
"""Room -> its names that the package re-exports."""

_ROOM_OF: Final = {name: room for room, names in HOMES.items() for name in names}


def found(package: str, name: str) -> object:
    """Return a public name of the package, or one of its rooms.

    Raises:
        AttributeError: There is no such name.
    """
    if name in _ROOM_OF:
        value: object = getattr(import_module(f"{package}.{_ROOM_OF[name]}"), name)
        setattr(import_module(package), name, value)  # so that it is looked for once
        return value
    if name in HOMES:
        return import_module(f"{package}.{name}")
    raise AttributeError(f"module {package!r} has no attribute {name!r}")
