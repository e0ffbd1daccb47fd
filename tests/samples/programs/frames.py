"""Rows of a pandas DataFrame in, a DataFrame of outcomes out."""

from collections.abc import Iterator
from typing import Any

import pandas as pd  # type: ignore[import-untyped]

from ihuyi_voice import Message, VoiceClient


def messages(frame: Any) -> Iterator[Message]:
    """Yield a message a row; the frame's index is its name."""
    for row in frame.itertuples():
        yield Message(
            str(row.mobile), f"您的订单号是：{row.order}。请注意查收。", reference=str(row.Index)
        )


async def called(frame: Any, client: VoiceClient) -> Any:
    """Call everybody in a frame that has `mobile` and `order`; return a frame of outcomes."""
    async with client.submit_many(messages(frame), total=len(frame)) as run:
        outcomes = [outcome.to_dict() async for outcome in run]
    made: Any = pd.DataFrame(outcomes)
    return made.set_index("reference")
