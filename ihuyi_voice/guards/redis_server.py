"""The Redis of a guard: one script, called so that nothing is ever repeated that could do harm.

redis-py repeats a command by itself whose reply it has lost; our own client doesn't. What is
repeated here is a call of the script, after a connection broke or did not come about: its
operations know whether they have been done. So a server that restarts costs nobody more than a
moment. When the call's time is over, it is given up, and its connection with it; and as long as
the server stays away, the calls after it are repeated once and fail at once.
"""

import asyncio
import inspect
import logging
from collections.abc import Sequence
from hashlib import sha1
from typing import Any, Final, TypeAlias

try:
    from redis.asyncio import Redis
    from redis.asyncio.cluster import RedisCluster  # noqa: TC002 - the extra is all there, or not
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import AuthenticationError, NoScriptError, RedisError, ResponseError
    from redis.exceptions import ConnectionError as NoConnection
except ImportError as exc:
    raise ImportError("RedisGuard needs an extra: pip install 'ihuyi-voice[redis]'") from exc

from ihuyi_voice.common.bound import Bound
from ihuyi_voice.common.logs import tell
from ihuyi_voice.common.redaction import forget_frames, mask_numbers
from ihuyi_voice.errors import GuardUnavailable, InvalidRequest
from ihuyi_voice.guards.redis_script import SCRIPT

logger = logging.getLogger("ihuyi_voice")

Client: TypeAlias = "Redis | RedisCluster"

_CONNECTIONS: Final = 10_000  # one for each account that is busy
_NO_RETRY: Final = Retry(NoBackoff(), 0)
_FIRST_PAUSE: Final = 0.02  # seconds between two attempts, then twice as long each time
_IN_VAIN: Final = ("READONLY", "MASTERDOWN", "LOADING")  # this connection leads to the wrong server
_EVICTS: Final = "maxmemory-policy of Redis is %s: it may forget calls, and limits be exceeded"
_BAD_URL: Final = "the URL of Redis can't be read; it looks like redis://user:password@host:6379/0"


def _own_client(url: str) -> Any:  # noqa: ANN401 - what redis-py takes is only half typed
    """Return a client for a URL; what a URL says may hold a password, so no error quotes it."""
    try:
        redis: Any = Redis
        client = redis.from_url(url, protocol=2, max_connections=_CONNECTIONS)
    except Exception:  # noqa: BLE001 - whatever redis-py makes of it
        raise InvalidRequest(_BAD_URL, field="url") from None
    # What the URL asks for in its query, redis-py puts before what it is told.
    client.connection_pool.connection_kwargs.update(retry=_NO_RETRY, retry_on_error=[])
    client.connection_pool.connection_kwargs.pop("retry_on_timeout", None)
    return client


def _checked(client: object) -> Any:  # noqa: ANN401 - what only has to act like one
    if not inspect.iscoroutinefunction(getattr(client, "execute_command", None)):
        raise InvalidRequest(
            f"RedisGuard takes a URL or a client of redis.asyncio, not {type(client).__name__}",
            field="client",
        )
    return client


class Server:
    """Calls the script.

    Args:
        url_or_client: A URL, or a client of `redis.asyncio`, which is used as it is and not closed.
        timeout: The longest that a call may take, in seconds, with its repetition.
        script: The script.
    """

    def __init__(self, url_or_client: "str | Client", timeout: float, script: str = SCRIPT) -> None:
        self.timeout = timeout
        self._script = script.encode()
        self._digest = sha1(self._script, usedforsecurity=False).hexdigest()
        self._is_own = isinstance(url_or_client, str)
        self._client: Any = (
            _own_client(url_or_client)
            if isinstance(url_or_client, str)
            else _checked(url_or_client)
        )
        self._looked = False
        self._is_away = False

    async def call(self, keys: Sequence[bytes], args: Sequence[bytes]) -> bytes:
        """Call the script.

        Raises:
            GuardUnavailable: There was no answer; the call may still be carried out.
        """
        last: list[Exception] = []
        try:
            async with Bound(self.timeout):
                answer = await self._call(keys, args, last)
        except TimeoutError as exc:
            self._is_away = True
            late = TimeoutError(f"no answer within {self.timeout:g} s")
            raise unavailable(last[-1] if last else late) from forget_frames(exc)
        except (RedisError, OSError, RuntimeError, ValueError) as exc:
            raise unavailable(exc) from exc
        self._is_away = False
        return answer

    async def look(self) -> None:
        """Look once whether this Redis forgets what it is told; it may not let us look."""
        if self._looked:
            return
        self._looked = True
        try:
            async with Bound(self.timeout):
                memory = await self._client.info("memory")
            policy = memory.get("maxmemory_policy", "noeviction")
        except Exception:  # noqa: BLE001 - it matters to nobody
            return
        if memory.get("maxmemory") and policy != "noeviction":
            tell(logger, logging.WARNING, _EVICTS, policy)

    async def aclose(self) -> None:
        """Close the connections, unless they are somebody else's."""
        if self._is_own:
            await self._client.aclose()

    async def _call(
        self, keys: Sequence[bytes], args: Sequence[bytes], failures: list[Exception]
    ) -> bytes:
        pause = _FIRST_PAUSE
        while True:
            try:
                return await self._evaluate(keys, args)
            except AuthenticationError:
                raise
            except NoConnection as exc:
                if failures and self._is_away:
                    raise
                failures.append(exc)
            except ResponseError as exc:
                if failures or not self._is_own or not _is_in_vain(exc):
                    raise
                failures.append(exc)
                await self._client.connection_pool.disconnect()  # its name may lead elsewhere now
            if len(failures) > 1:
                await asyncio.sleep(pause)
                pause *= 2

    async def _evaluate(self, keys: Sequence[bytes], args: Sequence[bytes]) -> bytes:
        rest = (len(keys), *keys, *args)
        try:
            return await self._command("EVALSHA", self._digest, *rest)
        except NoScriptError:
            return await self._command("EVAL", self._script, *rest)

    async def _command(self, *command: object) -> bytes:
        # Bytes, even if the client decodes what others read.
        answer: bytes = await self._client.execute_command(*command, NEVER_DECODE=True)
        return answer


def _is_in_vain(exc: ResponseError) -> bool:
    return any(word in str(exc) for word in _IN_VAIN)


def unavailable(exc: Exception) -> GuardUnavailable:
    """Return the error for a call that failed; its text shows no number, its frames no secret."""
    reason = mask_numbers(f"{type(exc).__name__}: {exc}".rstrip(": "))
    error = GuardUnavailable(f"Redis could not be asked ({reason})")
    error.__cause__ = forget_frames(exc)
    return error
