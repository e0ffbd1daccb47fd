"""The options of a run, each checked where it is given."""

import attrs
from attrs.validators import optional

from ihuyi_voice.errors import VoiceError
from ihuyi_voice.inputs import counted, not_negative, rated, waited


@attrs.frozen
class BulkOptions:
    """The options of `submit_many`, which documents them.

    Attributes:
        fatal: Errors of one message that end the run at once; see `BulkRun.ending_at`.
    """

    concurrency: int = attrs.field(default=100, validator=counted)
    max_wait: float = attrs.field(default=120.0, validator=waited)
    max_rate: float | None = attrs.field(default=None, validator=rated)
    max_deferred: int = attrs.field(default=10_000, validator=counted)
    grace: float = attrs.field(default=30.0, validator=waited)
    total: int | None = attrs.field(default=None, validator=not_negative)
    max_failures: int | None = attrs.field(default=20, validator=optional(counted))  # type: ignore[arg-type]  # attrs infers it
    max_rejections: int | None = attrs.field(default=200, validator=optional(counted))  # type: ignore[arg-type]  # attrs infers it
    fatal: tuple[type[VoiceError], ...] = ()
