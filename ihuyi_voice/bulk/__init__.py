"""Many submissions from one coroutine."""

from ihuyi_voice.bulk.outcomes import Outcome
from ihuyi_voice.bulk.progress import Progress
from ihuyi_voice.bulk.run import BulkRun
from ihuyi_voice.bulk.scheduler import BulkOptions

__all__ = ["BulkOptions", "BulkRun", "Outcome", "Progress"]
