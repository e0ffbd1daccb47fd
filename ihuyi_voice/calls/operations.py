"""Calls that no guard watches, made again as the policy allows: balance and templates."""

import asyncio

from ihuyi_voice.calls.attempt import Answer, Endpoint
from ihuyi_voice.calls.retries import Backoff, RetryPolicy
from ihuyi_voice.errors import OutcomeUnknown, TemplateNotFound, VendorError, VoiceError
from ihuyi_voice.http.sending import Transmission
from ihuyi_voice.models import Operation
from ihuyi_voice.protocol.requests import Call


async def repeat(endpoint: Endpoint, policy: RetryPolicy, call: Call) -> tuple[Answer, int]:
    """Make attempts at `call`; return the answer and how many it took.

    A deletion whose later attempt is told that there is no such template has succeeded, if an
    earlier one was ambiguous.

    Raises:
        VoiceError: The last attempt's error, or the first that left the outcome unknown.
    """
    started = asyncio.get_running_loop().time()
    backoff: Backoff | None = None
    unknown: OutcomeUnknown | None = None
    attempts = 0
    while True:
        attempts += 1
        try:
            return await endpoint.ask(call, Transmission()), attempts
        except VoiceError as error:
            if isinstance(error, TemplateNotFound) and unknown is not None and error.raw:
                return Answer("", error.msg, error.raw), attempts
            if isinstance(error, OutcomeUnknown):
                unknown = unknown or error
            backoff = backoff or Backoff(policy, call.operation, started)
            delay = _delay(policy, backoff, call.operation, error, attempts)
            if delay is None:
                raise _verdict(error, unknown, attempts) from error.__cause__
        await asyncio.sleep(delay)


def _delay(
    policy: RetryPolicy, backoff: Backoff, operation: Operation, error: VoiceError, attempts: int
) -> float | None:
    error.attempts = attempts
    if not policy.allows(operation, error):
        return None
    return backoff.next_delay(error, asyncio.get_running_loop().time())


def _verdict(error: VoiceError, unknown: OutcomeUnknown | None, attempts: int) -> VoiceError:
    # What the vendor said in words is the better answer, except to an outcome still unknown.
    final = error if isinstance(error, VendorError) or unknown is None else unknown
    final.attempts = attempts
    return final
