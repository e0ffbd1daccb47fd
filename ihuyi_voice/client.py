"""The client: the four operations of one account, awaited one call at a time."""

import time
from collections.abc import AsyncIterable, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

import attrs

from ihuyi_voice.bulk import BulkOptions, BulkRun
from ihuyi_voice.calls import (
    Bookkeeping,
    ClientOptions,
    Endpoint,
    Entry,
    Errands,
    Events,
    Guarding,
    Job,
    Journals,
    Recalling,
    RetryPolicy,
    Submitter,
    check_key,
    check_retry,
    from_environment,
    repeat,
)
from ihuyi_voice.common.redaction import forget_frames
from ihuyi_voice.errors import InvalidRequest, VoiceError
from ihuyi_voice.events import Hook, Stream, checked_hook
from ihuyi_voice.guards import Guard, MemoryGuard, Unset, check_guard
from ihuyi_voice.guards.contract import UNSET
from ihuyi_voice.http import HttpOptions, Sender
from ihuyi_voice.inputs import (
    check_above_zero,
    check_called,
    check_count,
    check_wait,
    normalise_mobile,
    validate_content,
    validate_template_id,
)
from ihuyi_voice.models import AddedTemplate, Draft, Message, Operation, Submission
from ihuyi_voice.protocol import (
    Answer,
    Auth,
    Call,
    Credentials,
    Method,
    ReplyFormat,
    TemplateAuth,
    VoicePhp,
)

if TYPE_CHECKING:
    import httpx


class VoiceClient:
    """Calls people: an asyncio client of the vendor's voice-notification API.

    Use it as `async with VoiceClient(...) as client`, or make it once and `await client.aclose()`
    at the end. It opens connections on first use, and belongs to the event loop of that use.

    Args:
        account: The APIID of the vendor's console; blanks around it are stripped.
        api_key: The APIKEY; blanks around it are stripped. Shown nowhere.
        base_url: The full address of voice.php; None for the vendor's, over TLS.
        auth: `signed` sends a dynamic password (section 7), `plain` the key itself.
        template_auth: How AddTemplate and DelTemplate say who asks: `plain`, `md5` (of the key) or
            `signed`. The vendor's document gives no formula for them, only examples in plain.
        method: `POST` (a form) or `GET`. With GET and `plain` the key stands in the URL, which
            proxies and servers write into their logs: avoid it.
        reply_format: `xml` or `json`; whichever comes is understood.
        timeout: Seconds for each phase of a request, or an `httpx.Timeout`. None: 10 to connect
            and 30 for all else, or the injected client's own. The wait for one of our own
            connections is bounded only by an `httpx.Timeout` with a `pool`.
        max_connections: The most connections, and requests in flight, at a time.
        max_age: How long one of our connections is used, in seconds, so that a moved address is
            followed; None for as long as the vendor keeps it.
        guard: Holds back what would break the vendor's limits per number; by default a
            `MemoryGuard` of this client's own, None for none at all.
        retry: What is tried again and when.
        ledger: Remembers keyed calls and runs, so that none is rung twice; see `submit`'s `key`
            and `submit_many`'s `run`. It is not closed here.
        http_client: An `httpx.AsyncClient` (or httpx2's) to send with instead of our own. It is
            never closed here; until `aclose`, it has two event hooks of ours. Over a transport
            that doesn't tell httpx's `trace` of itself, POST is never sent twice behind our back,
            but of a GET nobody can know: a failure is always OutcomeUnknown then.
        proxy: The URL of an HTTP proxy; None for the environment's. For SOCKS, inject a client.
        verify: Whom TLS trusts: True for SSL_CERT_FILE and SSL_CERT_DIR or else httpx's own store,
            a file or folder of certificates, an `ssl.SSLContext`, or False for everybody.
        max_content_length: The longest content in characters; None for any. Older vendor
            documents say 180.
        clock: Returns Unix time in seconds, UTC; requests are signed with it.
        on_event: Called with each of `ihuyi_voice.events`; it must not block the event loop.

    Raises:
        InvalidRequest: An option can't be right; the error says which and why.
    """

    def __init__(
        self,
        account: str,
        api_key: str,
        *,
        base_url: str | None = None,
        auth: Auth = "signed",
        template_auth: TemplateAuth = "plain",
        method: Method = "POST",
        reply_format: ReplyFormat = "xml",
        timeout: "float | httpx.Timeout | None" = None,
        max_connections: int = 100,
        guard: Guard | Unset | None = UNSET,
        retry: RetryPolicy | None = None,
        ledger: Journals | None = None,
        http_client: "httpx.AsyncClient | None" = None,
        max_age: float | None = 300.0,
        proxy: str | None = None,
        verify: Any = True,  # noqa: ANN401 - whatever httpx takes
        max_content_length: int | None = None,
        clock: Callable[[], float] = time.time,
        on_event: Hook | None = None,
    ) -> None:
        try:
            voice = VoicePhp(
                Credentials(account, api_key), base_url, auth, template_auth, method, reply_format
            )
        except InvalidRequest as error:
            raise forget_frames(error) from None
        finally:
            del api_key  # or a traceback's locals would show it
        wires = voice.base_url, timeout, max_connections, http_client, max_age, proxy, verify
        options = HttpOptions(*wires)
        self._voice = voice
        self._sender = Sender(options, voice.redact)
        self._endpoint = Endpoint(voice, self._sender, clock)
        check_retry(retry)
        guard = MemoryGuard() if isinstance(guard, Unset) else guard
        check_guard(guard)
        if max_content_length is not None:
            check_count("max_content_length", max_content_length)
        check_called("clock", clock)
        self._policy = RetryPolicy() if retry is None else retry
        self._errands = Errands()  # of guard and ledger alike: either may close this client
        guarding = Guarding(guard, self.account, self._errands)
        self._books = Bookkeeping(ledger, self.account, self._errands)
        recalling = Recalling(guarding, self._books.calls())
        parts = self._endpoint, guarding, self._policy, clock, recalling
        self._submitter = Submitter(*parts, Events(checked_hook(on_event)))
        self._max_content_length = max_content_length

    @classmethod
    def from_env(cls, **options: Unpack[ClientOptions]) -> Self:
        """Return a client of IHUYI_ACCOUNT and IHUYI_API_KEY, and IHUYI_BASE_URL if it is set.

        Args:
            options: Any of the class's options; given, `account` and the like come first.

        Raises:
            InvalidRequest: A variable is missing; the error names it.
        """
        return cls(**from_environment(options))

    def __repr__(self) -> str:
        if not hasattr(self, "_voice"):  # an option was refused, and somebody looks at the frames
            return "VoiceClient()"
        return f"VoiceClient({self.account!r}, base_url={self._voice.base_url!r})"

    @property
    def account(self) -> str:
        """The APIID, which together with a number is what guards count by."""
        return self._voice.credentials.account

    @property
    def events(self) -> Stream:
        """What `on_event` is told by, also by those who have more to tell, such as workers."""
        return self._submitter.events

    @property
    def http_client(self) -> "httpx.AsyncClient":
        """The shared client of httpx that every request goes through, or the injected one.

        Event hooks, instrumentations and mocks of httpx work on it. It is closed with this client,
        unless it was injected.
        """
        return self._sender.http_client

    async def __aenter__(self) -> Self:
        self._sender.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Wait for what is in flight, tell guard and ledger, and close; safe to call twice.

        In a hook of httpx's, a guard or a ledger it waits for all but the call that waits for it.
        """
        self._sender.check_loop()  # elsewhere it goes on where it belongs
        try:
            await self._sender.aclose()
        finally:
            await self._errands.aclose()

    async def submit(
        self,
        mobile: str,
        content: str,
        *,
        max_wait: float = 0.0,
        timeout: float | None = None,  # noqa: ASYNC109 - it ends in an outcome, not in TimeoutError
        key: str | None = None,
        retry_rejected: bool = False,
        guard: Guard | Unset | None = UNSET,
    ) -> Submission:
        """Have the vendor call `mobile` and say `content` (section 2).

        Cancelled in flight, it leaves a call that may ring, and a warning in the log says so;
        `timeout` bounds it and ends in an outcome instead.

        With a `key`, only the first call rings, whatever process makes it on the same ledger. Each
        later one returns the same Submission, or raises the same refusal, without a request. What
        was surely not sent, or was refused so that it may pass later, is sent again.

        Args:
            mobile: A mainland mobile of 11 digits or a landline with its area code; `+86`,
                blanks, hyphens and full-width digits are understood.
            content: What to say; it must follow an approved template of the account.
            max_wait: The longest to wait for the per-number limits, in seconds; `math.inf` for as
                long as it takes.
            timeout: The longest to take in all, in seconds: limits, the queue for one of our own
                connections, retries and the reply. None for no such bound.
            key: The caller's own name for this call, at most 200 characters; it needs a ledger. A
                call of the same key that is in flight is waited for, no longer than `max_wait`.
            retry_rejected: Whether to send again what was refused under this key with FIX_REQUEST.
            guard: Asked about this call in place of the client's: `hours.guard` for an alarm that
                rings in quiet hours, too. None for none at all.

        Returns:
            The vendor's acceptance. The call itself comes later; a delivery report tells of it.

        Raises:
            InvalidRequest: Number, content or key can't be right, or the key was used for another
                message; nothing was sent.
            CallInFlight: A call of the same key is in flight, and did not end within `max_wait`.
            LedgerUnavailable: The ledger could not be asked; nothing was sent.
            RateLimited: The limits would have needed a longer wait; see `retry_at`.
            GuardUnavailable: The guard could not be asked; nothing was sent.
            NotSent: The request surely never reached the vendor; safe to send again.
            OutcomeUnknown: It may have; sending again may make the phone ring twice.
            VendorError: The vendor refused; its subclasses say for what cause.
        """
        check_wait("max_wait", max_wait)
        if timeout is not None:
            check_above_zero("timeout", timeout)
        try:
            job = self._submitter.job(*self._checked(Message(mobile, content)), max_wait)
            if key is not None:
                job.entry = self._entry(job, key, retry_rejected=retry_rejected)
            elif retry_rejected:
                raise InvalidRequest("retry_rejected needs a key", field="retry_rejected")
            return await self._submitter.guarded_by(guard).submit(job, timeout)
        except VoiceError as error:
            raise forget_frames(error)  # noqa: B904 - its causes are its own

    def submit_many(
        self,
        messages: "Iterable[Message | tuple[str, str]] | AsyncIterable[Message | tuple[str, str]]",
        *,
        concurrency: int = 100,
        max_wait: float = 120.0,
        max_rate: float | None = None,
        max_deferred: int = 10_000,
        grace: float = 30.0,
        total: int | None = None,
        max_failures: int | None = 20,
        max_rejections: int | None = 200,
        run: str | None = None,
        ledger: Journals | None = None,
        takeover: bool = False,
        retry_rejected: bool = False,
        guard: Guard | Unset | None = UNSET,
    ) -> BulkRun:
        """Return a run that submits all of `messages`: `async with … as run: async for outcome …`.

        Args:
            messages: Messages or pairs of mobile and content, read lazily as the run goes on. A
                generator is closed when the run has ended, also early; so is an iterator that
                the run made of it and that can be closed. Other iterators can be read on.
            concurrency: The most submissions in flight. A run begins with one, and doubles with
                each round of usable answers.
            max_wait: The longest a message may wait for its number's limits, in seconds.
            max_rate: The most submissions a second over the whole run, 1 a day at least, or None.
            max_deferred: How many held-back messages are kept. With so many or more, a message to a
                busy number is the last that is read for now; with twice as many, any is. A list,
                which is in memory already, is read on.
            grace: When the run is left early, the seconds that those in flight may take to end.
            total: How many messages there are, for `progress`; asked of no iterable but Python's
                own containers, for others may have to work for it.
            max_failures: So many messages in a row that come out UNKNOWN or NOT_SENT end the run,
                and 3 before the first usable answer; None for any number.
            max_rejections: The same for rejections in a row with one code. What concerns a single
                number (4030, 406, 408x, a number that can't be right) neither counts nor resets.
            run: The run's name, at most 200 characters; it needs a ledger. The same run goes on
                where it ended, by being run again: nobody is called twice. A message is known by
                its reference, or else by its number and content; what was settled earlier has the
                same outcome again, `replayed`.
            ledger: Keeps this run, in place of the client's.
            takeover: Whether to go on with a run that another living process works on, which then
                can't any more.
            retry_rejected: Whether to send again what was refused with FIX_REQUEST.
            guard: Asked about this run's calls in place of the client's: `QuietHours` around it, or
                without. None for none at all.

        Raises:
            InvalidRequest: An option can't be right.
            RunInUse: Another living process works on the run; raised when it is entered.
            RunStopped: The run was stopped, and not resumed; raised when it is entered.
            LedgerUnavailable: The run could not be opened; raised when it is entered.
            TypeError: `messages` are none: a str, a mapping, a table.
        """
        bounds = concurrency, max_wait, max_rate, max_deferred, grace
        options = BulkOptions(*bounds, total, max_failures, max_rejections)
        submitter = self._submitter.guarded_by(guard)
        options = attrs.evolve(options, max_rate=submitter.guarding.cap(max_rate))
        if run is None and (ledger is not None or takeover or retry_rejected):
            raise InvalidRequest("ledger, takeover and retry_rejected need a run", field="run")
        journal = None
        if run is not None:
            self._check_sent_once("run")
            journal = self._books.run(run, ledger, takeover=takeover, retry_rejected=retry_rejected)
        return BulkRun(messages, self._checked, submitter, options, journal)

    async def balance(self) -> int:
        """Return how many notifications are left on the account (GetNum, section 3).

        Raises:
            NotSent, OutcomeUnknown, VendorError: As for `submit`, after retries.
        """
        answer, _ = await self._ask(Call(Operation.BALANCE))
        return int(answer.value)

    async def add_template(self, content: str) -> AddedTemplate:
        """Hand in a template with 【变量】 in it for the vendor's audit (section 4).

        Not retried if it may have arrived: a second try would only say that it exists.

        Raises:
            InvalidRequest: The content is empty.
            TemplateExists: The account has it already.
            NotSent, OutcomeUnknown, VendorError: As for `submit`.
        """
        text = validate_content(content, None)
        answer, attempts = await self._ask(Call(Operation.ADD_TEMPLATE, {"content": text}))
        return AddedTemplate(answer.value, text, answer.msg, attempts, answer.raw)

    async def delete_template(self, template_id: str) -> None:
        """Delete a template (section 5).

        An ambiguous try is made again; if the vendor then knows no such template, it is deleted.

        Raises:
            InvalidRequest: The id is empty.
            TemplateNotFound: The account has no such template.
            NotSent, OutcomeUnknown, VendorError: As for `submit`.
        """
        fields = {"templateid": validate_template_id(template_id)}
        await self._ask(Call(Operation.DELETE_TEMPLATE, fields))

    async def _ask(self, call: Call) -> tuple[Answer, int]:
        try:
            return await repeat(self._endpoint, self._policy, call)
        except VoiceError as error:
            raise forget_frames(error)  # noqa: B904 - its causes are its own

    def _entry(self, job: Job, key: str, *, retry_rejected: bool) -> Entry:
        self._check_sent_once("key")
        draft = Draft(check_key("key", key), job.mobile, job.content)
        return self._books.entry(draft, retry_rejected=retry_rejected)

    def _check_sent_once(self, option: str) -> None:
        if self._policy.resend_unknown:
            raise InvalidRequest(
                f"{option} promises that nobody is rung twice; resend_unknown does not",
                field=option,
            )

    def _checked(self, message: Message) -> tuple[str, str]:
        """Return number and content as they are sent."""
        mobile = normalise_mobile(message.mobile)
        return mobile, validate_content(message.content, self._max_content_length)
