"""One call, from a checked message to its end."""

from ihuyi_voice.calls.attempt import Endpoint
from ihuyi_voice.calls.guarding import Guarding
from ihuyi_voice.calls.journal import Ending, Journal, Journals
from ihuyi_voice.calls.operations import repeat
from ihuyi_voice.calls.retries import RetryEvent, RetryPolicy
from ihuyi_voice.calls.submission import Delay, Job, Submitter

__all__ = [
    "Delay",
    "Ending",
    "Endpoint",
    "Guarding",
    "Job",
    "Journal",
    "Journals",
    "RetryEvent",
    "RetryPolicy",
    "Submitter",
    "repeat",
]
