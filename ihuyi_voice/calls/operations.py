"""Balance and templates: calls that no guard watches, made again as the policy allows."""

import asyncio

from ihuyi_voice.calls.attempt import Endpoint
from ihuyi_voice.calls.retries import RetryPolicy, Tries
from ihuyi_voice.common.foreign import PASSING
from ihuyi_voice.common.tasks import cancelled_since
from ihuyi_voice.errors import TemplateNotFound, VoiceError
from ihuyi_voice.http import Sent
from ihuyi_voice.protocol import Answer, Call


async def repeat(endpoint: Endpoint, policy: RetryPolicy, call: Call) -> tuple[Answer, int]:
    """Make attempts at `call`; return the answer and how many it took.

    A deletion whose later attempt is told that there is no such template has succeeded, if an
    earlier one was ambiguous.

    Raises:
        VoiceError: What the attempts came to.
    """
    loop = asyncio.get_running_loop()
    tries = Tries(call.operation, policy)
    while True:
        tries.begin(loop.time())
        tries.unwanted = cancelled_since()
        try:
            return await endpoint.ask(call, Sent(unwanted=tries.unwanted)), tries.attempts
        except VoiceError as error:
            if isinstance(error, TemplateNotFound) and tries.unknown is not None and error.raw:
                return Answer("", error.msg, error.raw), tries.attempts
            tries.note(error)
            delay = tries.next_delay(error, loop.time())
            if delay is None:
                raise tries.verdict(error)  # noqa: B904 - it is that error, or has it as its cause
        except PASSING:
            raise
        except BaseException as exc:  # noqa: BLE001 - raised again
            final = tries.broken(exc)
            raise final from final.__cause__
        await asyncio.sleep(delay)
