"""The guard of many processes and machines: the windows per number, kept in Redis.

It does what `guards.contract` says, with these differences to a guard in memory:

- Times are the server's. If its clock is set forwards, windows end earlier by as much.
- A lease lapses if its process dies: no one extends it then. Its call counts from that moment on,
  for nobody knows whether it was made.
- What Redis forgets, nobody knows. With persistence (or without a restart) and the policy
  `noeviction` no limit is exceeded; a restart without data, a failover to a replica that lags
  behind, or an eviction may cost a 408x from the vendor, and never a second ring. Loss is logged.
- Who waits is told a little more than the exact time, differently each time, so that of many
  processes that want one number each is served as often as the others.
"""

import asyncio
import logging
import os
import random
import sys
import time
from itertools import count
from types import TracebackType
from typing import Final, Literal, Self, get_args

from ihuyi_voice.common.logs import tell
from ihuyi_voice.common.options import is_number, too_slow
from ihuyi_voice.errors import GuardUnavailable, InvalidRequest
from ihuyi_voice.guards import redis_script as script
from ihuyi_voice.guards.contract import Lease, Wait
from ihuyi_voice.guards.limits import Limits, checked_limits
from ihuyi_voice.guards.redis_batches import Batches, Held
from ihuyi_voice.guards.redis_server import Client, Server
from ihuyi_voice.guards.turns import Turns

logger = logging.getLogger("ihuyi_voice")

OnUnavailable = Literal["refuse", "allow"]

_LONGEST_LOOK: Final = 1.0
_SHORTEST_LOOK: Final = 0.1
_SHORTEST_LEASE: Final = 1.0
_ANSWERS_WITHIN: Final = 2.0  # seconds; twice that is still less than anybody waits for a guard
_SPREAD: Final = 0.03  # the share of a wait by which waiters of many processes are spread
_LONGEST_SPREAD: Final = 1.0
_SLACK: Final = 0.025  # who waits comes a little late; so much is made up for, in seconds
_COUNTED: Final = 1 << 24  # reservations under one name of this guard
_WARN_EVERY: Final = 60.0
_ALLOWED: Final = "%d calls go out unguarded: %s"


class RedisGuard:
    """Keeps the limits per number for all processes and machines of an account.

    Needs the extra `redis`. Redis 6.2 or newer, or Valkey; a Redis Cluster too, by a client of
    `redis.asyncio.cluster`. It belongs to the event loop of its first use; many clients of one
    process may share it, and should. All guards with one Redis and one prefix share what they
    know of an account.

        async with RedisGuard("redis://127.0.0.1:6379") as guard:
            async with VoiceClient.from_env(guard=guard) as client: ...

    It also limits calls of your own, of whatever kind:

        async def ring(guard, number):
            lease = await guard.reserve("my account", number)
            if isinstance(lease, Wait):
                return f"not for {lease.seconds:.1f} s"
            try:
                await my_call(number)
            except ConnectionRefusedError:  # surely not made: it counts nowhere
                await guard.release(lease)
                raise
            except BaseException:  # it may have been made
                await guard.commit(lease)
                raise
            await guard.commit(lease)
            return "made"

    Args:
        url_or_client: `redis://`, `rediss://` or `unix://`, or a client of `redis.asyncio`. An
            injected client is used as it is and never closed; its own retries do no harm.
        limits: The windows, of at most 120 days; the same in all processes.
        prefix: What the keys begin with. Numbers are in the keys' values, as digits.
        lease: Seconds after which a call whose process died no longer locks its number; a living
            process extends its leases by itself, so calls may take longer.
        on_unavailable: "refuse" raises when Redis can't be asked, and nothing is sent; "allow"
            lets everything go out unguarded then, and logs a warning.
        max_rate: The most calls a second of each account, over all machines, one a day at least;
            None for no cap.

    Raises:
        ImportError: The extra is not installed.
        InvalidRequest: An option is wrong; the error shows no password.
    """

    def __init__(
        self,
        url_or_client: "str | Client",
        limits: Limits | None = None,
        *,
        prefix: str = "ihuyi",
        lease: float = 30.0,
        on_unavailable: OnUnavailable = "refuse",
        max_rate: float | None = None,
    ) -> None:
        self.limits = checked_limits(limits)
        self.max_rate = max_rate
        _check(self.limits, prefix, lease, on_unavailable, max_rate)
        self._gap = 0.0 if max_rate is None else 1 / max_rate
        shortest = min((each.seconds for each in self.limits.windows), default=_SHORTEST_LOOK)
        look = min(shortest, _LONGEST_LOOK)
        self._settings = script.Settings(self.limits, lease, look, self._gap, _SLACK)
        self._server = Server(url_or_client, min(_ANSWERS_WITHIN, lease / 3))
        self._prefix = prefix
        self._lease = lease
        self._allows = on_unavailable == "allow"
        self._chance = random.random
        self._name, self._numbers = os.urandom(5), count()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._batches: dict[str, Batches] = {}
        self._closed = False
        self._unguarded = 0
        self._warned_at = -_WARN_EVERY

    async def __aenter__(self) -> Self:
        """Return the guard; nothing is connected yet."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.aclose()

    async def aclose(self) -> None:
        """Wait for what is on its way, then close the connections; twice does no harm.

        Raises:
            RuntimeError: It was used in another event loop, where it goes on.
        """
        if self._loop is not None:
            self._check_loop(asyncio.get_running_loop())
        self._closed = True
        try:
            for batches in self._batches.values():
                await batches.flush()
        finally:
            await self._server.aclose()

    async def reserve(self, account: str, mobile: str) -> Lease | Wait:
        """Lock the number for one call, or say how long it is closed.

        Exactly one of `commit`, `release` and `block` must follow a lease.

        Raises:
            GuardUnavailable: Redis could not be asked; nothing is reserved.
            RuntimeError: The guard is used in another event loop.
        """
        try:
            batches = self._batches_of(account)
            if batches.turns is not None:
                wait = batches.turns.wait(time.monotonic())
                if wait is not None:
                    return wait
            given = await batches.reserve(self._new_lease(batches, account, mobile))
        except GuardUnavailable as error:
            if not self._allows:
                raise
            self._warn(error)
            return Lease(account, mobile)
        return self._spread(given) if isinstance(given, Wait) else given

    async def commit(self, lease: Lease) -> None:
        """End the lease of a call that was made, or may have been: its windows start now.

        Raises:
            GuardUnavailable: Redis could not be told; it is with the next call, or else the lease
                lapses, and the call counts from then on.
        """
        await self._settle(script.COMMIT, lease)

    async def release(self, lease: Lease) -> None:
        """End the lease of a call that was surely not made: it counts nowhere.

        Raises:
            GuardUnavailable: Redis could not be told; it is with the next call, or else the lease
                lapses, and the call counts.
        """
        await self._settle(script.RELEASE, lease)

    async def block(self, lease: Lease, seconds: float) -> None:
        """End the lease of a call that was refused: the number is closed for `seconds` from now on.

        Raises:
            GuardUnavailable: Redis could not be told; it is with the next call.
        """
        await self._settle(script.BLOCK, lease, min(seconds, script.LONGEST_WINDOW))

    async def _settle(self, kind: bytes, lease: Lease, seconds: float = 0.0) -> None:
        if self._allows and type(lease) is Lease:
            return  # granted while Redis was away
        if not isinstance(lease, Held) or lease.ended:
            raise RuntimeError(f"{lease} has ended already, or is another guard's")
        batches = self._batches_of(lease.account)
        await batches.put(kind, lease, lease.since if kind == script.COMMIT else seconds)

    def _batches_of(self, account: str) -> Batches:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        self._check_loop(loop)
        if self._closed:
            raise GuardUnavailable("the guard is closed")
        batches = self._batches.get(account)
        if batches is None:
            base = script.key_of_account(self._prefix, account)
            turns = Turns(self._gap) if self._gap else None
            batches = Batches(self._server, self._settings, base, self._lease, turns)
            self._batches[account] = batches
        return batches

    def _check_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not loop:
            raise RuntimeError("a RedisGuard belongs to the event loop of its first use")

    def _new_lease(self, batches: Batches, account: str, mobile: str) -> Held:
        number = next(self._numbers)
        if number == _COUNTED:
            self._name, self._numbers, number = os.urandom(5), count(1), 0
        bucket, field = script.place_of(mobile)
        token = self._name + number.to_bytes(3)
        return Held(account, mobile, token, batches.base + bucket, field)

    def _spread(self, wait: Wait) -> Wait:
        """Return when to look again: no process is always the first, and not all come at once."""
        if wait.whole_account:
            return wait
        if wait.window is None:
            return Wait(wait.seconds * (1 - self._chance() / 3))
        spread = min(wait.seconds * _SPREAD, _LONGEST_SPREAD)
        return Wait(wait.seconds + self._chance() * spread, wait.window)

    def _warn(self, error: GuardUnavailable) -> None:
        self._unguarded += 1
        now = time.monotonic()
        if now - self._warned_at >= _WARN_EVERY:
            tell(logger, logging.WARNING, _ALLOWED, self._unguarded, error)
            self._warned_at, self._unguarded = now, 0


def _check(
    limits: Limits, prefix: object, lease: float, on_unavailable: object, max_rate: float | None
) -> None:
    if any(window.seconds > script.LONGEST_WINDOW for window in limits.windows):
        raise InvalidRequest("no window in Redis may be longer than 120 days", field="limits")
    if not isinstance(prefix, str) or not prefix or set(prefix) & set("{}"):
        text = "prefix must be text, not be empty, nor hold { or }"
        raise InvalidRequest(text, field="prefix")
    if not is_number(lease) or not _SHORTEST_LEASE <= lease <= script.LONGEST_WINDOW:
        text = "lease must be a number of seconds: one at least, and 120 days at most"
        raise InvalidRequest(text, field="lease")
    if on_unavailable not in get_args(OnUnavailable):
        raise InvalidRequest('on_unavailable is "refuse" or "allow"', field="on_unavailable")
    if max_rate is not None and not (is_number(max_rate) and 0 < max_rate <= sys.float_info.max):
        raise InvalidRequest("max_rate must be a finite number above 0", field="max_rate")
    wrong = None if max_rate is None else too_slow("max_rate", max_rate)
    if wrong is not None:
        raise InvalidRequest(wrong, field="max_rate")
