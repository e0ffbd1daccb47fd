"""What the vendor saw, and what follows: reports of a call, or a template's audit."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias, cast

import attrs

from ihuyi_voice.simulator import pushing
from ihuyi_voice.simulator.faults import FaultKind
from ihuyi_voice.simulator.vendor import StoredTemplate, Vendor

ANSWERED: Final = 2
_DONE: Final = 2


@attrs.frozen
class Arrival:
    """One request as the vendor saw it.

    Attributes:
        time: When it had arrived, by the simulator's clock.
        operation: `Submit`, `GetNum`, `AddTemplate` or `DelTemplate`.
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


Codes: TypeAlias = int | Sequence[int]
Results: TypeAlias = Codes | Mapping[str, Codes] | Callable[[Arrival], Codes]


@attrs.frozen
class FollowUps:
    """Queues what the vendor will push.

    Attributes:
        vendor: Knows the templates.
        pusher: Takes the pushing.
        chance: Decides about jitter and talk times.
        results: How calls end.
        report_delay: Seconds from a call to its report.
        report_jitter: Up to so many random seconds more.
        report_interval: Seconds between the reports of one call.
        audit: The rule of audits; None: by hand, unless they are approved at once.
        audit_delay: Seconds from handing in to the audit.
    """

    vendor: Vendor
    pusher: pushing.Pusher
    chance: random.Random
    results: Results
    report_delay: float
    report_jitter: float
    report_interval: float
    audit: Callable[[str], str | None] | None
    audit_delay: float

    def arrived(self, arrival: Arrival, value: str | None) -> None:
        """See to what follows an arrival that was acted on; `value` is the id that it got."""
        if arrival.operation == "Submit" and value is not None and self.pusher.to:
            self._report(arrival, value)
        elif arrival.operation == "AddTemplate" and value is not None:
            self._audit(self.vendor.templates[value], arrival.time + self.audit_delay)
        elif arrival.operation == "DelTemplate":
            self.pusher.forget(pushing.AUDIT, arrival.fields["templateid"])

    def decided(self, template: StoredTemplate, reason: str | None) -> None:
        """Push an audit that was made by hand, now."""
        self._push(self.vendor.clock(), template, reason)

    def _report(self, arrival: Arrival, voice_id: str) -> None:
        due = arrival.time + self.report_delay + self.chance.uniform(0.0, self.report_jitter)
        for code in self._codes(arrival):
            talked = self.chance.randint(5, 60) if code == ANSWERED else 0
            self.pusher.queue(due, pushing.report(voice_id, arrival.mobile, code, talked, due))
            due += self.report_interval

    def _codes(self, arrival: Arrival) -> Iterable[int]:
        results = self.results
        if isinstance(results, Mapping):
            # pyright thinks of functions that are mappings, too
            by_number = cast("Mapping[str, Codes]", results)  # type: ignore[redundant-cast]
            results = by_number.get(arrival.mobile, ANSWERED)
        elif callable(results):
            results = results(arrival)
        return (results,) if isinstance(results, int) else results

    def _audit(self, template: StoredTemplate, due: float) -> None:
        if self.audit is None and not template.approved:
            return  # somebody will decide by hand
        reason = None
        if self.audit is not None:
            reason, template.approved = self.audit(template.content), False
        if reason is None:
            template.approved_from = due
        self._push(due, template, reason)

    def _push(self, due: float, template: StoredTemplate, reason: str | None) -> None:
        if self.pusher.to:
            self.pusher.queue(due, pushing.audit(template.template_id, reason))
