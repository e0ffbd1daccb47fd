"""What workers are given, checked before anything is opened: a wrong one must stop no run."""

import asyncio
import inspect

from ihuyi_voice.common.foreign import shown
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.inputs import check_acts


def check_client(client: object) -> None:
    """Refuse what is no client.

    Raises:
        InvalidRequest: It says what to give.
    """
    check_acts("client", client, ("submit_many",), "a VoiceClient")


def check_stop(stop: object) -> None:
    """Refuse what can't be awaited here; what belongs to another event loop, too.

    Raises:
        InvalidRequest: It says why.
    """
    if stop is None:
        return
    wait = getattr(stop, "wait", None)
    awaited = isinstance(stop, asyncio.Event) or inspect.iscoroutinefunction(wait)
    if isinstance(stop, type) or not awaited or not callable(getattr(stop, "is_set", None)):
        raise InvalidRequest(f"stop must be an asyncio.Event, not {shown(stop)}", field="stop")
    if isinstance(stop, asyncio.Event):
        _check_loop(stop)


def _check_loop(stop: asyncio.Event) -> None:
    waiting = stop.wait()
    try:
        waiting.send(None)  # the first step of a wait, which says so
    except StopIteration:
        return
    except RuntimeError as exc:
        text = "stop belongs to another event loop: make one in each"
        raise InvalidRequest(text, field="stop") from exc
    finally:
        waiting.close()
