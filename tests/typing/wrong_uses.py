"""What users get wrong, and a type checker tells them: each mistake has to be ignored by its code.

mypy (`warn_unused_ignores`) and pyright (below) report an ignore that hides nothing, so that a
mistake which is no longer told fails the type check. Never run.
"""

# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from ihuyi_voice import Message, Outcome, RateLimited, RetryPolicy, Submission, VoiceClient
from ihuyi_voice.guards import Guard, Lease, Wait
from ihuyi_voice.pushes import DeliveryReport, Inbox, PushReceiver
from ihuyi_voice.simulator import Fault, Simulator


class WithoutBlock:
    """A guard that can't be told of the vendor's own refusals."""

    async def reserve(self, account: str, mobile: str) -> Lease | Wait:
        return Lease(account, mobile)

    async def commit(self, lease: Lease) -> None: ...

    async def release(self, lease: Lease) -> None: ...


class Taught(WithoutBlock):
    """A guard as it was written for the release before."""

    async def teach(self, lease: Lease, code: int) -> None: ...

    async def freed(self, account: str, mobile: str) -> None: ...


class Blocking(WithoutBlock):
    """A guard that is not asynchronous everywhere."""

    def block(self, lease: Lease, seconds: float) -> None: ...


class ByCode(WithoutBlock):
    """A guard that wants to know a code and not the seconds."""

    async def block(self, lease: Lease, code: str) -> None: ...


class Forgetful(WithoutBlock):
    """A guard that returns no lease."""

    async def reserve(self, account: str, mobile: str) -> None: ...  # type: ignore[override]

    async def block(self, lease: Lease, seconds: float) -> None: ...


def guards() -> None:
    """A guard is one by its methods."""
    own: Guard
    own = WithoutBlock()  # type: ignore[assignment]
    own = Taught()  # type: ignore[assignment]
    own = Blocking()  # type: ignore[assignment]
    own = ByCode()  # type: ignore[assignment]
    own = Forgetful()  # type: ignore[assignment]
    del own


def clients() -> None:
    """Options that are none, or of another type."""
    VoiceClient("VM12345678")  # type: ignore[call-arg]
    VoiceClient(12345678, "api-key")  # type: ignore[arg-type]
    VoiceClient("VM12345678", None)  # type: ignore[arg-type]
    VoiceClient("VM12345678", "api-key", "https://api.vm.ihuyi.com")  # type: ignore[call-arg]
    VoiceClient("VM12345678", "api-key", auth="md4")  # type: ignore[arg-type]
    VoiceClient("VM12345678", "api-key", method="PUT")  # type: ignore[arg-type]
    VoiceClient("VM12345678", "api-key", reply_format="yaml")  # type: ignore[arg-type]
    VoiceClient("VM12345678", "api-key", retry=3)  # type: ignore[arg-type]
    VoiceClient("VM12345678", "api-key", guard=WithoutBlock())  # type: ignore[arg-type]
    VoiceClient("VM12345678", "api-key", retries=3)  # type: ignore[call-arg]
    RetryPolicy(attempts="3")  # type: ignore[arg-type]


async def calls(client: VoiceClient) -> None:
    """Numbers that aren't text, and results that aren't there."""
    await client.submit(13900000000, "您的订单号是：9633。")  # type: ignore[arg-type]
    await client.submit("13900000000")  # type: ignore[call-arg]
    await client.submit("13900000000", "您的订单号是：9633。", 2.0)  # type: ignore[call-arg]
    await client.submit("13900000000", "您的订单号是：9633。", timeout="5")  # type: ignore[arg-type]
    submission: Submission = client.submit("13900000000", "您好。")  # type: ignore[assignment]
    submission.voice_id = "1"  # type: ignore[misc]
    await client.delete_template(42)  # type: ignore[arg-type]


async def runs(client: VoiceClient) -> None:
    """What is no iterable of messages."""
    client.submit_many("13900000000")  # type: ignore[arg-type]
    client.submit_many(["13900000000"])  # type: ignore[list-item]
    client.submit_many({"13900000000": "您好。"})  # type: ignore[dict-item]
    client.submit_many([(13900000000, "您好。")])  # type: ignore[list-item]
    client.submit_many(Message("13900000000", "您好。"))  # type: ignore[arg-type]
    client.submit_many([], 100)  # type: ignore[call-arg]
    client.submit_many([], max_failures="all")  # type: ignore[arg-type]
    run = client.submit_many([])
    for _ in run:  # type: ignore[attr-defined]
        return


def results(outcome: Outcome, limited: RateLimited) -> None:
    """What may be None has to be looked at first."""
    outcome.voice_id.strip()  # type: ignore[union-attr]
    outcome.error.attempts  # type: ignore[union-attr]  # noqa: B018 - never run
    limited.retry_at.isoformat()  # type: ignore[union-attr]


def not_awaited(report: DeliveryReport) -> None:
    """A handler that nobody could wait for."""
    report.voice_id.strip()


async def pushes(inbox: Inbox) -> None:
    """What the receiver and the inbox don't take."""
    PushReceiver(inbox)  # type: ignore[call-arg]
    PushReceiver("pushes.sqlite3", token="secret")  # type: ignore[arg-type]
    PushReceiver(inbox, token="secret", on_report=not_awaited)  # type: ignore[arg-type]
    await inbox.report_of(16842079209571524017)  # type: ignore[arg-type]
    Inbox.open(None)  # type: ignore[arg-type]


def simulators() -> None:
    """Settings of the vendor in a box."""
    Simulator(templates=5)  # type: ignore[arg-type]
    Simulator(latency="slow")  # type: ignore[arg-type]
    Fault("disconnect_after", times="once")  # type: ignore[arg-type]


def settings() -> None:
    """Options that the client doesn't have, or of another type."""
    VoiceClient.from_env(tiemout=5)  # type: ignore[call-arg]
    VoiceClient.from_env(timeout="soon")  # type: ignore[arg-type]
    VoiceClient.from_env(retry=3)  # type: ignore[arg-type]
