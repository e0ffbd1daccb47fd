"""What was put around httpx before our first import, in programs of their own."""

import os
import subprocess
import sys

import pytest

_BEFORE_OUR_IMPORT = """
import asyncio, httpx
{prepare}
from ihuyi_voice import VoiceClient
async def main():
    async with VoiceClient("a", "key", base_url="http://127.0.0.1:9/voice.php") as client:
        return (await client.submit("13900000000", "hello")).voice_id
print(asyncio.run(main()), {count})
"""
_MOCKED = """
import respx
router = respx.mock(using={using!r})
router.start()
reply = b'{{"code":2,"msg":"","voiceid":"77"}}'
router.post().mock(return_value=httpx.Response(200, content=reply))
"""
_INSTRUMENTED = """
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
seen = []
async def hook(span, request):
    seen.append(request)
HTTPXClientInstrumentor().instrument(async_request_hook=hook)
""" + _MOCKED.format(using="httpcore")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prepare", "count", "expected"),
    [
        (_MOCKED.format(using="httpcore"), "router.calls.call_count", "77 1"),
        (_MOCKED.format(using="httpx"), "router.calls.call_count", "77 1"),
        (_INSTRUMENTED, "len(seen)", "77 1"),
    ],
    ids=["respx", "respx-httpx", "opentelemetry"],
)
def test_who_came_before_our_first_import_is_noticed_too(
    prepare: str, count: str, expected: str
) -> None:
    """The function that we would remember from our import would be the mock's own."""
    script = _BEFORE_OUR_IMPORT.format(prepare=prepare, count=count)
    done = subprocess.run(  # noqa: S603 - the script above
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout.strip(), done.returncode) == (expected, 0), done.stderr


def test_without_patches_no_httpcore_is_in_the_way() -> None:
    """It isn't even imported, unless httpx does so by itself, as 0.27 does."""
    script = """
import asyncio, sys
import httpx
by_itself = "httpcore" in sys.modules
from ihuyi_voice import NotSent, RetryPolicy, VoiceClient
async def main():
    async with VoiceClient("a", "k", base_url="http://127.0.0.1:9/v.php",
                           retry=RetryPolicy(attempts=1)) as client:
        try:
            await client.balance()
        except NotSent:
            print("httpcore" in sys.modules and not by_itself)
asyncio.run(main())
"""
    command = [sys.executable, "-c", script]
    free = {name: value for name, value in os.environ.items() if name != "IHUYI_FORBID_NETWORK"}
    done = subprocess.run(  # noqa: S603 - the script above
        command, capture_output=True, text=True, check=False, timeout=60, env=free
    )
    assert done.stdout.strip() == "False", done.stderr
