"""One call, from a checked message to its end."""

from ihuyi_voice.calls.attempt import Endpoint
from ihuyi_voice.calls.bookkeeping import Bookkeeping, JournalOfRun, check_key, check_ledger
from ihuyi_voice.calls.entry import Entry
from ihuyi_voice.calls.environment import ClientOptions, from_environment
from ihuyi_voice.calls.errands import Errands
from ihuyi_voice.calls.events import Events, next_number
from ihuyi_voice.calls.guarding import Guarding
from ihuyi_voice.calls.job import Delay, Job
from ihuyi_voice.calls.journal import Ending, Journal, Journals, Page
from ihuyi_voice.calls.journaling import Journaling
from ihuyi_voice.calls.operations import repeat
from ihuyi_voice.calls.recalling import Recalling
from ihuyi_voice.calls.retries import RetryPolicy, check_retry
from ihuyi_voice.calls.submission import Submitter
from ihuyi_voice.calls.telling import announce, announced, announced_all
from ihuyi_voice.calls.waiting import Patience, all_ended
from ihuyi_voice.events import (
    AttemptEnded,
    AttemptStarted,
    CutOff,
    Event,
    RetryEvent,
    RunStarted,
    RunStopped,
    Settled,
    Submitted,
    Waited,
)

__all__ = [
    "AttemptEnded",
    "AttemptStarted",
    "Bookkeeping",
    "ClientOptions",
    "CutOff",
    "Delay",
    "Ending",
    "Endpoint",
    "Entry",
    "Errands",
    "Event",
    "Events",
    "Guarding",
    "Job",
    "Journal",
    "JournalOfRun",
    "Journaling",
    "Journals",
    "Page",
    "Patience",
    "Recalling",
    "RetryEvent",
    "RetryPolicy",
    "RunStarted",
    "RunStopped",
    "Settled",
    "Submitted",
    "Submitter",
    "Waited",
    "all_ended",
    "announce",
    "announced",
    "announced_all",
    "check_key",
    "check_ledger",
    "check_retry",
    "from_environment",
    "next_number",
    "repeat",
]
