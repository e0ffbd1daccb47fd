"""How handlers are called: at once, for how long, how often, and with what pauses."""

import random
from typing import Final

import attrs

from ihuyi_voice.common.foreign import shown
from ihuyi_voice.common.plain import is_storable
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.inputs import above_zero, check_above_zero, check_text, not_negative

_LARGEST: Final = 2**63 - 1


def check_id(name: str, value: object) -> None:
    """Refuse what can be the id of nothing; one that is a number would be waited for for ever.

    Raises:
        InvalidRequest: It is no text, or one that no database takes; the error names it.
    """
    check_text(name, value)
    if not is_storable(value):
        raise InvalidRequest(f"{name} has characters that no id has", field=name)


def check_place(name: str, value: object) -> None:
    """Refuse what is no place in an inbox.

    Raises:
        InvalidRequest: It is none; the error names it.
    """
    if not isinstance(value, int) or abs(value) > _LARGEST:
        raise InvalidRequest(
            f"{name} is {shown(value)}; it must be the seq of a report", field=name
        )


def _outlasts_timeout(handling: "Handling", _: object, lease: float) -> None:
    check_above_zero("lease", lease)
    if not lease > handling.timeout:
        raise InvalidRequest("the lease must be longer than the timeout", field="lease")


@attrs.frozen
class Handling:
    """How handlers are called.

    Attributes:
        concurrency: How many run at once in this process, for each kind of push: reports whose
            handlers hang hold up no audit.
        timeout: Seconds that one may take; then it is cancelled, and has failed. One that goes on
            all the same keeps its place and its push.
        lease: Seconds until another process may take over what this one had claimed when it died;
            must be above `timeout`. A process that lives renews it in time.
        max_tries: After so many failures a push is dead, until it is replayed.
        backoff: Seconds before the second try; each further pause is twice as long.
        max_backoff: The longest pause in seconds.
        grace: Seconds that handlers get to end when the inbox is closed; then they are cancelled,
            and those that go on 5 s after that are left behind.
    """

    concurrency: int = attrs.field(default=20, validator=above_zero)
    timeout: float = attrs.field(default=30.0, validator=above_zero)
    lease: float = attrs.field(default=60.0, validator=_outlasts_timeout)
    max_tries: int = attrs.field(default=10, validator=above_zero)
    backoff: float = attrs.field(default=1.0, validator=not_negative)
    max_backoff: float = attrs.field(default=300.0, validator=not_negative)
    grace: float = attrs.field(default=5.0, validator=not_negative)

    def pause(self, tries: int) -> float:
        """Return how long to wait after so many tries, in seconds, with 10 % of jitter."""
        longest = min(self.backoff * 2.0 ** min(tries - 1, 60), self.max_backoff)
        return longest * random.uniform(0.9, 1.0)  # noqa: S311 - spreads load, hides nothing
