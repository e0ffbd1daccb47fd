"""What a stored push means; one that a newer parser refuses poisons nothing."""

import logging

import attrs

from ihuyi_voice.common.logs import tell
from ihuyi_voice.common.redaction import mask_numbers, shown
from ihuyi_voice.models import DeliveryReport
from ihuyi_voice.protocol import Push, PushUnreadable, PushValue, parse_push
from ihuyi_voice.pushes.claims import Stored
from ihuyi_voice.pushes.quarantine import Quarantined

logger = logging.getLogger("ihuyi_voice.pushes")


def meaning(push: Stored) -> PushValue:
    """Return what a stored push means; a report knows its number.

    Raises:
        PushUnreadable: Nobody knows.
    """
    value = parse_push(push.body, push.content_type).value
    return attrs.evolve(value, seq=push.seq) if isinstance(value, DeliveryReport) else value


def meaning_or_none(push: Stored) -> PushValue | None:
    """Return what a stored push means; None, and a line in the log, if nobody knows."""
    try:
        return meaning(push)
    except PushUnreadable as exc:
        why = shown(mask_numbers(str(exc)))
    except Exception as exc:  # noqa: BLE001 - a fault of ours; other pushes have none of it
        why = type(exc).__name__
    tell(logger, logging.WARNING, "push %d can't be read any more: %s", push.seq, why)
    return None


def push_or_none(push: Quarantined) -> Push | None:
    """Return what is quarantined as a push; None if it still can't be read."""
    try:
        return parse_push(push.body, push.content_type)
    except PushUnreadable:
        return None  # as the log was told when it came
    except Exception as exc:  # noqa: BLE001 - likewise
        tell(logger, logging.WARNING, "push %d can't be read: %s", push.seq, type(exc).__name__)
    return None
