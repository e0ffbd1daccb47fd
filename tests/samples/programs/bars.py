"""How far a run is, as tqdm and as rich show it."""

from collections.abc import Sequence

from rich.progress import Progress
from tqdm.asyncio import tqdm  # type: ignore[import-untyped]

from ihuyi_voice import Message, OutcomeStatus, VoiceClient


async def with_tqdm(client: VoiceClient, messages: Sequence[Message]) -> dict[OutcomeStatus, int]:
    """Call everybody behind a bar of tqdm's."""
    async with client.submit_many(messages) as run:
        async for _ in tqdm(run, total=len(messages), unit="call"):
            pass
    return run.summary


async def with_rich(client: VoiceClient, messages: Sequence[Message]) -> dict[OutcomeStatus, int]:
    """Call everybody behind a bar of rich's, which tells of what is held back, too."""
    with Progress() as bars:
        bar = bars.add_task("Calling", total=len(messages))
        async with client.submit_many(messages) as run:
            async for _ in run:
                held = run.progress.deferred
                bars.update(bar, advance=1, description=f"Calling, {held} held back")
    return run.summary
