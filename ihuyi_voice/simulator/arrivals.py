"""What the vendor saw: one value for each request."""

from typing import Final

import attrs

from ihuyi_voice.simulator.faults import FaultKind

_DONE: Final = 2


@attrs.frozen
class Arrival:
    """One request as the vendor saw it.

    Attributes:
        time: When it had arrived, by the simulator's clock.
        operation: `Submit`, `GetNum`, `AddTemplate`, `DelTemplate` or what else was asked.
        fields: All fields, query and body.
        code: The code that the vendor decided on; None if it never acted, also if it was told what
            to reply.
        fault: What went wrong on demand, if anything.
    """

    time: float
    operation: str
    fields: dict[str, str] = attrs.field(repr=False)
    code: int | None
    fault: FaultKind | None = None

    @property
    def mobile(self) -> str:
        """The number, as it was sent."""
        return self.fields.get("mobile", "")

    @property
    def content(self) -> str:
        """The content, as it was sent."""
        return self.fields.get("content", "")

    @property
    def processed(self) -> bool:
        """Whether the vendor did what was asked."""
        return self.code == _DONE
