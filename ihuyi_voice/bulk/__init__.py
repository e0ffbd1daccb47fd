"""Many submissions from one coroutine; `run` opens with the theory of operation."""

from ihuyi_voice.bulk.options import BulkOptions
from ihuyi_voice.bulk.outcomes import Outcome
from ihuyi_voice.bulk.progress import Progress
from ihuyi_voice.bulk.run import BulkRun

__all__ = ["BulkOptions", "BulkRun", "Outcome", "Progress"]
