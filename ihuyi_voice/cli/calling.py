"""One call to the vendor; cut off by a signal, it is told that the vendor may have heard of it."""

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ihuyi_voice.calls import CutOff, Event
from ihuyi_voice.cli.interrupts import Interrupts
from ihuyi_voice.cli.language import text
from ihuyi_voice.cli.options import make_client
from ihuyi_voice.errors import OutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from ihuyi_voice.client import VoiceClient

T = TypeVar("T")

if TYPE_CHECKING:
    Work: TypeAlias = Callable[[VoiceClient], Coroutine[Any, Any, T]]


def call(work: "Work[T]", *options: Any, acts: bool = False, **more: Any) -> T:  # noqa: ANN401 - as `make_client`
    """Do one thing with a client, and return what comes of it.

    Args:
        work: What.
        options: Of `make_client`.
        acts: Whether the vendor may have acted on whatever was cut off; of a submission it is
            known.
        more: Of `make_client`.

    Raises:
        OutcomeUnknown: A signal cut it off when the vendor may have acted.
        KeyboardInterrupt: Or when it surely hadn't.
        VoiceError: What else came of it.
    """
    cut = list[CutOff]()

    def note(event: Event) -> None:
        if isinstance(event, CutOff):
            cut.append(event)

    task = asyncio.run(_ended(make_client(*options, on_event=note, **more), work))
    if not task.cancelled():
        return task.result()
    if acts or any(each.in_flight for each in cut):
        raise OutcomeUnknown(text("interrupted.in_flight"))
    raise KeyboardInterrupt


async def _ended(client: "VoiceClient", work: "Work[T]") -> "asyncio.Task[T]":
    """Return the work's task once it has ended, by itself or by a signal."""
    with Interrupts() as interrupts:
        async with client:
            interrupts.cancels = task = asyncio.create_task(work(client))
            await asyncio.wait({task})
    return task
