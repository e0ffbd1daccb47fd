"""The logger of everything about pushes; numbers are masked before they get here."""

import logging
from typing import Final

logger: Final = logging.getLogger("ihuyi_voice.pushes")
