"""Simulators and clients that tests talk to, in process, with nothing to wait for."""

from collections.abc import Callable
from typing import Any

import httpx

from ihuyi_voice import MemoryGuard, RetryPolicy, VoiceClient
from ihuyi_voice.simulator import Fault, Simulator
from tests.support.virtual_time import loop_time

BASE_URL = "http://vendor.test/webservice/voice.php"
MOBILE = "13900000000"
CONTENT = "您的订单号是：9633。已由顺风快递发出，请注意查收。"
FAST = RetryPolicy(initial=0.01, jitter=0.0)
ONCE = RetryPolicy(attempts=1)


def vendor(*faults: Fault | None, **options: Any) -> Simulator:
    """Return a simulator on virtual time with these faults; None is none."""
    simulator = Simulator(clock=loop_time, **options)
    for fault in faults:
        if fault is not None:
            simulator.add_fault(fault)
    return simulator


def in_process(simulator: Simulator, **options: Any) -> VoiceClient:
    """Return a client of `simulator` without sockets, for virtual time."""
    http_client = httpx.AsyncClient(transport=httpx.ASGITransport(app=simulator))
    options.setdefault("guard", MemoryGuard(clock=loop_time))
    return VoiceClient(
        simulator.account,
        simulator.api_key,
        base_url=BASE_URL,
        http_client=http_client,
        **options,
    )


def answering(handler: Callable[[httpx.Request], httpx.Response], **options: Any) -> VoiceClient:
    """Return a client whose requests `handler` answers."""
    http_client = httpx.AsyncClient(transport=httpx.MockTransport(handler))
    options.setdefault("retry", ONCE)
    return VoiceClient("test", "key", base_url=BASE_URL, http_client=http_client, **options)
