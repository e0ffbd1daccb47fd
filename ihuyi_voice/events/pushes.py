"""What becomes of the vendor's pushes: stored, quarantined, refused, handled."""

from typing import Literal

import attrs

from ihuyi_voice.common.redaction import mask_numbers


@attrs.frozen
class PushStored:
    """A push is stored durably; a second try of one that is there already counts, too.

    Attributes:
        kind: `report` or `audit`.
        seconds: How long that took.
    """

    kind: str
    seconds: float


@attrs.frozen
class PushQuarantined:
    """Something that can't be read is stored durably, to be parsed again later.

    Attributes:
        reason: Why it can't.
        seconds: How long it took to store.
    """

    reason: str = attrs.field(repr=mask_numbers)
    seconds: float = 0.0


@attrs.frozen
class PushRefused:
    """A receiver did not take a push: the vendor tries again, if it was the vendor.

    Attributes:
        status: The HTTP status that was answered: 404 for a wrong token, 403 for an address, 503
            if it could not be stored, and so on.
    """

    status: int


@attrs.frozen
class PushHandled:
    """A handler has ended.

    Attributes:
        kind: `report` or `audit`.
        end: `handled`; `failed`, to be tried again; `dead`, tried too often; `interrupted`, as the
            program ends.
        tries: How often it was tried, this time included.
        seconds: How long the handler took.
    """

    kind: str
    end: Literal["handled", "failed", "dead", "interrupted"]
    tries: int
    seconds: float
