"""Many submissions from one coroutine; `run` opens with the theory of operation."""

from ihuyi_voice.bulk.lookup import key_of
from ihuyi_voice.bulk.options import BulkOptions
from ihuyi_voice.bulk.outcomes import Outcome
from ihuyi_voice.bulk.progress import Progress
from ihuyi_voice.bulk.reading import reading
from ihuyi_voice.bulk.reason import Reason
from ihuyi_voice.bulk.run import BulkRun
from ihuyi_voice.bulk.sources import as_message, check_messages

__all__ = [
    "BulkOptions",
    "BulkRun",
    "Outcome",
    "Progress",
    "Reason",
    "as_message",
    "check_messages",
    "key_of",
    "reading",
]
