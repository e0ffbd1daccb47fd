"""Whether the long proofs run, and how much of a thing is done where they do not."""

import os
from typing import Final

LONG: Final = os.environ.get("IHUYI_LONG_TESTS") == "1"


def few_or_many(few: int, many: int) -> int:
    """Return how many of a thing there are: `many` in the long run alone."""
    return many if LONG else few
