"""What users write, and the types that they get: for mypy and pyright to read, never run.

Only public names are used, as a user's own module would.
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from datetime import datetime, time
from pathlib import Path
from typing import Any, Literal, assert_type

import httpx

from ihuyi_voice import (
    Action,
    AddedTemplate,
    BulkRun,
    GuardUnavailable,
    InvalidRequest,
    Limits,
    MemoryGuard,
    Message,
    NotSent,
    Operation,
    Outcome,
    OutcomeStatus,
    OutcomeUnknown,
    Progress,
    QuietHours,
    RateLimited,
    RawReply,
    RetryEvent,
    RetryPolicy,
    RunStopped,
    Submission,
    Template,
    UnreadableReply,
    VendorError,
    VoiceClient,
    VoiceError,
)
from ihuyi_voice.guards import Guard, Lease, Wait
from ihuyi_voice.pushes import (
    DeliveryReport,
    DeliveryStatus,
    Handling,
    Inbox,
    PushReceiver,
    PushState,
    TemplateAudit,
)
from ihuyi_voice.simulator import (
    Arrival,
    Fault,
    ManualClock,
    PushFault,
    PushTry,
    RunningClock,
    Simulator,
)
from ihuyi_voice.testing import ServedSimulator, SharedClock, accept, drop_after_send, reject


class OwnGuard:
    """A user's guard: it inherits nothing, and only has the methods."""

    async def reserve(self, account: str, mobile: str) -> Lease | Wait:
        return Wait(1.5, 60.0) if mobile.startswith("0") else Lease(account, mobile)

    async def commit(self, lease: Lease) -> None: ...

    async def release(self, lease: Lease) -> None: ...

    async def block(self, lease: Lease, seconds: float) -> None: ...


class OwnLease(Lease):
    """A lease that remembers more."""

    token: str = ""


class NarrowGuard(OwnGuard):
    """A guard may promise more than the contract asks."""

    async def reserve(self, account: str, mobile: str) -> OwnLease | Wait:
        return OwnLease(account, mobile)


guards: list[Guard] = [OwnGuard(), NarrowGuard(), MemoryGuard(), MemoryGuard(Limits(per_day=5))]
guards.append(QuietHours((time(22), time(8)), guard=OwnGuard()))
assert_type(QuietHours("22:00-08:00").guard, Guard)


def told(event: RetryEvent) -> None:
    """Hear of a retry."""
    assert_type(event.operation, Operation)
    assert_type(event.attempt, int)
    assert_type(event.delay, float)
    assert_type(event.error, VoiceError)


def clients(guard: Guard, context: ssl.SSLContext) -> None:
    """Every option of a client, with each type that it takes."""
    client = VoiceClient("VM12345678", "api-key")
    assert_type(client, VoiceClient)
    assert_type(client.account, str)
    VoiceClient(
        "VM12345678",
        "api-key",
        base_url="https://api.vm.ihuyi.com/webservice/voice.php",
        auth="signed",
        template_auth="md5",
        method="GET",
        reply_format="json",
        timeout=httpx.Timeout(30, connect=10),
        max_connections=200,
        guard=guard,
        retry=RetryPolicy(attempts=2, resend_unknown=True, on_retry=told),
        http_client=httpx.AsyncClient(),
        max_content_length=180,
        clock=ManualClock(),
    )
    VoiceClient("VM12345678", "api-key", timeout=5, guard=None, verify=context)
    VoiceClient("VM12345678", "api-key", timeout=None, retry=None, http_client=None, proxy=None)
    VoiceClient("VM12345678", "api-key", proxy="http://127.0.0.1:3128", verify=False)
    assert_type(VoiceClient.from_env(guard=None), VoiceClient)
    VoiceClient.from_env(account="VM12345678", timeout=5, method="GET", clock=ManualClock())


class OwnClient(VoiceClient):
    """A subclass stays itself."""


async def calls(own: OwnClient) -> None:
    """The four operations."""
    assert_type(OwnClient.from_env(), OwnClient)
    async with own as entered:
        assert_type(entered, OwnClient)
    async with VoiceClient("VM12345678", "api-key") as client:
        submission = await client.submit("13900000000", "您的订单号是：9633。", max_wait=2)
        assert_type(submission, Submission)
        assert_type(submission.voice_id, str)
        assert_type(submission.mobile, str)
        assert_type(submission.attempts, int)
        assert_type(submission.raw, RawReply | None)
        assert_type(submission.to_dict(), dict[str, str | int])
        await client.submit("13900000000", "您的订单号是：9633。", timeout=5)
        await client.submit("13900000000", "您的订单号是：9633。", timeout=None)
        assert_type(await client.balance(), int)
        added = await client.add_template("您的订单号是：【变量】。")
        assert_type(added, AddedTemplate)
        assert_type(added.template_id, str)
        await client.delete_template(added.template_id)
        await client.aclose()


def pairs() -> Iterator[tuple[str, str]]:
    """Messages as pairs, one by one."""
    yield "13900000000", "您的订单号是：9633。"


async def rows() -> AsyncIterator[Message]:
    """Messages from a database, say."""
    yield Message("13900000000", "您的订单号是：9633。", reference="9633")


class OwnMessage(Message):
    """A message that knows more."""


async def runs(client: VoiceClient) -> None:
    """Each kind of iterable, and the options."""
    client.submit_many([("13900000000", "您的订单号是：9633。")])
    client.submit_many([Message("13900000000", "您的订单号是：9633。")])
    client.submit_many({OwnMessage("13900000000", "您的订单号是：9633。")})
    client.submit_many(pairs())
    client.submit_many(Message(mobile, content) for mobile, content in pairs())
    run = client.submit_many(
        rows(),
        concurrency=50,
        max_wait=60,
        max_rate=10,
        max_deferred=100,
        grace=5,
        total=1_000,
        max_failures=None,
        max_rejections=500,
    )
    assert_type(run, BulkRun)
    async with run as entered:
        assert_type(entered, BulkRun)
        async for outcome in entered:
            assert_type(outcome, Outcome)
        assert_type(await run.drain(), list[Outcome])
    assert_type(run.summary, dict[OutcomeStatus, int])
    assert_type(run.progress, Progress)
    assert_type(run.progress.total, int | None)
    assert_type(run.progress.eta, float | None)
    assert_type(run.progress.finished, int)


def outcomes(outcome: Outcome) -> None:
    """What an outcome tells."""
    assert_type(outcome.message, Message)
    assert_type(outcome.message.reference, str | None)
    assert_type(outcome.status, OutcomeStatus)
    assert_type(outcome.voice_id, str | None)
    assert_type(outcome.error, VoiceError | None)
    assert_type(outcome.attempts, int)
    assert_type(outcome.retry_at, datetime | None)
    assert_type(outcome.replayed, bool)
    assert_type(outcome.to_dict(), dict[str, Any])
    if outcome.status is OutcomeStatus.ACCEPTED:
        return
    assert_type(
        outcome.status,
        Literal[
            OutcomeStatus.REJECTED,
            OutcomeStatus.HELD,
            OutcomeStatus.NOT_SENT,
            OutcomeStatus.UNKNOWN,
        ],
    )


def errors(error: VoiceError, limited: RateLimited, refused: VendorError) -> None:
    """What an error tells, and which families it belongs to."""
    assert_type(error.status, OutcomeStatus)
    assert_type(error.attempts, int)
    assert_type(error.raw, RawReply | None)
    assert_type(error.to_dict(), dict[str, str | int | None])
    if error.raw is not None:
        assert_type(error.raw.status, int)
        assert_type(error.raw.body, str)
        assert_type(error.raw.headers["content-type"], str)
    assert_type(refused.code, int)
    assert_type(refused.msg, str)
    assert_type(refused.operation, Operation)
    assert_type(refused.action, Action)
    words: list[str] = [refused.action, refused.operation, refused.status]
    assert_type(words, list[str])
    assert_type(limited.retry_at, datetime | None)
    assert_type(limited.source, Literal["guard", "vendor"])
    assert_type(limited.status, OutcomeStatus)
    families: list[type[NotSent]] = [RunStopped, GuardUnavailable]
    unknown: list[type[OutcomeUnknown]] = [UnreadableReply]
    wrong: list[type[ValueError]] = [InvalidRequest]
    assert_type((families[0]("why").transient, unknown, wrong), tuple[
        bool, list[type[OutcomeUnknown]], list[type[ValueError]]
    ])  # fmt: skip


def templates() -> None:
    """A template's two directions."""
    template = Template("您的订单号是：【变量】。")
    assert_type(template.render(9633), str)
    assert_type(template.match("您的订单号是：9633。"), tuple[str, ...] | None)
    assert_type(template.check("您的订单号是：9633。"), tuple[str, ...])


async def on_report(report: DeliveryReport) -> None:
    """Hear how a call ended."""
    assert_type(report.voice_id, str)
    assert_type(report.code, int)
    assert_type(report.status, DeliveryStatus)
    assert_type(report.answered, bool)
    assert_type(report.talk_time, int | None)
    assert_type(report.raw, Mapping[str, str])
    assert_type(report.seq, int | None)
    assert_type(report.report_time, datetime | None)


async def on_audit(audit: TemplateAudit) -> str:
    """Hear how an audit ended; what a handler returns is nobody's business."""
    assert_type(audit.approved, bool)
    return audit.template_id


async def pushes(path: Path) -> None:
    """Receiving, waiting, replaying."""
    unopened = Inbox.open(path, handling=Handling(concurrency=5, timeout=10), poll=0.5)
    assert_type(unopened, Inbox)
    receiver = PushReceiver(
        unopened,
        token="secret",
        on_report=on_report,
        on_audit=on_audit,
        allow=["10.0.0.0/8"],
        trusted_proxies=("127.0.0.1",),
    )
    assert_type(receiver.inbox, Inbox)
    httpx.ASGITransport(app=receiver)
    async with Inbox.open("postgresql://db/app") as inbox:
        assert_type(inbox, Inbox)
        assert_type(await inbox.report_of("16842079209571524017", timeout=30), DeliveryReport)
        assert_type(await inbox.audit_of("42"), TemplateAudit)
        async for report in inbox.reports():
            assert_type(report, DeliveryReport)
        assert_type(await inbox.replay(), int)
        assert_type(await inbox.counts(), dict[PushState, int])


async def simulators(web: httpx.AsyncClient) -> None:
    """The vendor in a box."""
    clock = ManualClock()
    simulator = Simulator(
        templates=["您的订单号是：【变量】。"],
        limits=[(1, 1.0, 4080)],
        clock=clock,
        push_to="http://test/token",
        push_client=web,
        results={"13900000000": -6},
    )
    assert_type(simulator.add_fault(Fault("disconnect_after", times=1)), Fault)
    assert_type(simulator.add_push_fault(PushFault("lost")), PushFault)
    clock.advance(1.0)
    httpx.ASGITransport(app=simulator)
    async with simulator.serve() as url:
        assert_type(url, str)
    assert_type(simulator.rung()["13900000000", "您的订单号是：9633。"], int)
    for arrival in simulator.arrivals:
        assert_type(arrival, Arrival)
    for pushed in simulator.pushes:
        assert_type(pushed, PushTry)


handler: Callable[[DeliveryReport], Awaitable[object]] = on_report


def kept(outcome: Outcome, submission: Submission, report: DeliveryReport) -> None:
    """Values become dicts, and are made of them again."""
    assert_type(Outcome.from_dict(outcome.to_dict()), Outcome)
    assert_type(Submission.from_dict(submission.to_dict()), Submission)
    assert_type(DeliveryReport.from_dict(report.to_dict()), DeliveryReport)
    assert_type(report.to_dict(), dict[str, Any])


async def kit(
    ihuyi_simulator: ServedSimulator, ihuyi_client: VoiceClient, ihuyi_clock: SharedClock
) -> None:
    """The fixtures, as tests annotate them."""
    assert_type(ihuyi_simulator.url, str)
    ihuyi_simulator.add_fault(Fault("silence"))
    ihuyi_simulator.pushes_to("http://127.0.0.1:8000", "/ihuyi/s3cret")
    ihuyi_simulator.pushes_to(PushReceiver(Inbox.open("x"), token="s3cret"))
    assert_type(await ihuyi_simulator.deliver(), int)
    assert_type(ihuyi_simulator.deliver_now(timeout=5), int)
    ihuyi_simulator.wait_pushed(2)
    ihuyi_clock.advance(60)
    assert_type(ihuyi_clock(), float)
    ihuyi_simulator.clock.advance(1)
    assert_type(Simulator().clock, ManualClock | RunningClock)
    assert_type(await ihuyi_client.balance(), int)


def mocks() -> None:
    """Each is a function of a request."""
    for reaction in (accept(), accept("7"), reject(4072), drop_after_send()):
        httpx.MockTransport(reaction)
