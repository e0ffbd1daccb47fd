"""The vendor's mind: what it knows of an account, and its answer to each request.

It checks in this order: account, password, frozen account; for a submission then number, black
list, content, sensitive words, template, balance, limits per number. Only accepted submissions
count in the limits, since no other makes a phone ring.
"""

import math
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from hashlib import md5
from typing import Final, Literal, TypeAlias

import attrs

from ihuyi_voice.simulator import tables

Limits: TypeAlias = tuple[tuple[int, float, int], ...]
Variables: TypeAlias = Literal["strict", "lenient"]

VARIABLE: Final = "【变量】"
VARIABLES: Final[dict[Variables, str]] = {
    "strict": "0-9A-Za-z\u3400-\u9fff",
    "lenient": "0-9A-Za-z\u3400-\u9fff.:/%-",
}
"""What the value of a variable may be made of: what section 1.6 names, or dates and such, too."""

_NUMBER: Final = re.compile(r"1[3-9]\d{9}|0\d{9,11}", re.ASCII)
_TIME: Final = re.compile(r"\d{10}", re.ASCII)  # section 2.3
_ON_TEMPLATES: Final = {"AddTemplate", "DelTemplate"}
_FIRST_VOICE_ID: Final = 16_842_079_209_571_520_000  # 20 digits: above int64, as seen in the wild
_FIRST_TEMPLATE_ID: Final = 100_001


@attrs.define
class StoredTemplate:
    """A template as the vendor keeps it; only an approved one lets submissions pass.

    Attributes:
        template_id: Its id.
        content: Its text.
        approved: Whether it has been approved.
        approved_from: When it will have been, in Unix seconds.
        variables: What values may be made of, as `Vendor.variables`.
    """

    template_id: str
    content: str
    approved: bool
    approved_from: float = math.inf
    variables: Variables = "strict"
    pattern: re.Pattern[str] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        literals = [re.escape(part) for part in self.content.split(VARIABLE)]
        self.pattern = re.compile(f"([{VARIABLES[self.variables]}]+?)".join(literals))


@attrs.frozen
class Answer:
    """What the vendor replies: the code and, where there is one, the id or the balance."""

    code: int
    value: str | None = None


@attrs.define(eq=False, on_setattr=attrs.setters.NO_OP)
class Vendor:
    """One account at the vendor.

    Attributes:
        account: The APIID.
        api_key: The APIKEY.
        balance: Notifications left; counts down.
        limits: Windows per number: (calls, seconds, code).
        repeat_limits: The same for one content to one number.
        blacklist: Numbers that get 4030.
        refusals: Numbers that get a code of their own.
        sensitive_words: Words that get 407.
        check_templates: Whether contents must follow an approved template.
        variables: What the values in templates that are stored from now on may be made of: `strict`
            for digits, letters and Chinese characters, `lenient` for dates, times, decimals,
            percentages and hyphens, too.
        max_value_length: Longest value of a variable, else 40722; None for any.
        max_password_age: Oldest `time` of a dynamic password in seconds, else 40501; None for any.
        auto_approve: Whether new templates are approved at once; else `approve` does it.
        frozen: Whether the account gets 4050.
        clock: Unix time in seconds, UTC.
    """

    account: str
    api_key: str = attrs.field(repr=False)
    clock: Callable[[], float]
    balance: int = 1_000_000
    limits: Limits = tables.LIMITS
    repeat_limits: Limits = ()
    blacklist: frozenset[str] = frozenset()
    refusals: Mapping[str, int] = attrs.field(factory=dict[str, int])
    sensitive_words: tuple[str, ...] = ()
    check_templates: bool = False
    variables: Variables = attrs.field(default="strict", validator=attrs.validators.in_(VARIABLES))
    max_value_length: int | None = None
    max_password_age: float | None = None
    auto_approve: bool = False
    frozen: bool = False
    templates: dict[str, StoredTemplate] = attrs.field(factory=dict[str, StoredTemplate])
    _times: dict[str, deque[float]] = attrs.field(
        factory=dict[str, deque[float]], init=False, repr=False
    )
    _repeats: dict[tuple[str, str], deque[float]] = attrs.field(
        factory=dict[tuple[str, str], deque[float]], init=False, repr=False
    )
    _voice_ids: int = attrs.field(default=_FIRST_VOICE_ID, init=False)
    _template_ids: int = attrs.field(default=_FIRST_TEMPLATE_ID, init=False)

    def answer(
        self, operation: str, fields: Mapping[str, str], raw: Mapping[str, bytes] | None = None
    ) -> Answer:
        """Act on a request and return the reply.

        Args:
            operation: One of the four.
            fields: What was sent, as text.
            raw: The same as the bytes that came, which are what is signed; None: the text's UTF-8.
        """
        refusal = self._who(operation, fields, raw)
        if refusal is not None:
            return Answer(refusal)
        return _ACTS[operation](self, fields)

    def store_template(self, content: str, *, approved: bool) -> StoredTemplate:
        """Keep a template without a request, as if it had been handed in before."""
        template = StoredTemplate(
            str(self._template_ids), content, approved, variables=self.variables
        )
        self._template_ids += 1
        self.templates[template.template_id] = template
        return template

    def _who(
        self, operation: str, fields: Mapping[str, str], raw: Mapping[str, bytes] | None
    ) -> int | None:
        if not fields.get("account"):
            return 401
        if not fields.get("password"):
            return 402
        if fields["account"] != self.account:
            return 405
        if fields["password"] != self.api_key:
            said = _said(operation, fields, raw)
            refusal = self._password_refused(operation, fields, said)
            if refusal is not None:
                return refusal
        return 4050 if self.frozen else None

    def _password_refused(
        self, operation: str, fields: Mapping[str, str], said: bytes
    ) -> int | None:
        """Judge a password that is not the key itself (section 7, and observed for templates)."""
        password, time = fields["password"].lower(), fields.get("time", "")
        if operation in _ON_TEMPLATES and password == _md5(self.api_key.encode()):
            return None
        if not _TIME.fullmatch(time):
            return 405
        if password != _md5(f"{self.account}{self.api_key}".encode() + said + time.encode()):
            return 405
        return 40501 if self._too_old(int(time)) else None

    def _too_old(self, time: int) -> bool:
        age = self.max_password_age
        return age is not None and abs(self.clock() - time) > age

    def submit(self, fields: Mapping[str, str]) -> Answer:
        """Call a number (section 2)."""
        mobile, content = fields.get("mobile", ""), fields.get("content", "")
        refusal = (
            self._number_refused(mobile)
            or self._content_refused(content)
            or (4051 if self.balance <= 0 else None)
            or self._limit_refused(mobile, content)
        )
        if refusal is not None:
            return Answer(refusal)
        self.balance -= 1
        self._remember(mobile, content)
        self._voice_ids += 1
        return Answer(2, str(self._voice_ids))

    def _remember(self, mobile: str, content: str) -> None:
        now = self.clock()
        if self.limits:
            self._times.setdefault(mobile, _memory(self.limits)).append(now)
        if self.repeat_limits:
            self._repeats.setdefault((mobile, content), _memory(self.repeat_limits)).append(now)

    def _number_refused(self, mobile: str) -> int | None:
        if not mobile:
            return 403
        if not _NUMBER.fullmatch(mobile):
            return 406
        return 4030 if mobile in self.blacklist else self.refusals.get(mobile)

    def _content_refused(self, content: str) -> int | None:
        if not content:
            return 404
        if any(word in content for word in self.sensitive_words):
            return 407
        return self._template_refused(content) if self.check_templates else None

    def _template_refused(self, content: str) -> int | None:
        now = self.clock()
        approved = [
            template
            for template in self.templates.values()
            if template.approved or now >= template.approved_from
        ]
        if not approved:
            return 4071
        matches = (template.pattern.fullmatch(content) for template in approved)
        match = next((found for found in matches if found), None)
        if match is None:
            return 4072
        limit = self.max_value_length
        return 40722 if limit and any(len(value) > limit for value in match.groups()) else None

    def _limit_refused(self, mobile: str, content: str) -> int | None:
        now = self.clock()
        refusal = _exceeded(self.limits, self._times.get(mobile, ()), now)
        if refusal is None and self.repeat_limits:
            refusal = _exceeded(self.repeat_limits, self._repeats.get((mobile, content), ()), now)
        return refusal

    def get_num(self, _: Mapping[str, str]) -> Answer:
        """Tell the balance (section 3)."""
        return Answer(2, str(self.balance))

    def add_template(self, fields: Mapping[str, str]) -> Answer:
        """Take a template for audit (section 4)."""
        content = fields.get("content", "")
        if not content:
            return Answer(404)
        if any(word in content for word in self.sensitive_words):
            return Answer(407)
        if any(template.content == content for template in self.templates.values()):
            return Answer(408)
        return Answer(2, self.store_template(content, approved=self.auto_approve).template_id)

    def del_template(self, fields: Mapping[str, str]) -> Answer:
        """Forget a template (section 5)."""
        known = self.templates.pop(fields.get("templateid", ""), None)
        return Answer(404 if known is None else 2)


_ACTS: Final[dict[str, Callable[[Vendor, Mapping[str, str]], Answer]]] = {
    "Submit": Vendor.submit,
    "GetNum": Vendor.get_num,
    "AddTemplate": Vendor.add_template,
    "DelTemplate": Vendor.del_template,
}


def _said(operation: str, fields: Mapping[str, str], raw: Mapping[str, bytes] | None) -> bytes:
    """Return what is signed beside account, key and time: number and content, as they came."""
    if operation != "Submit":
        return b""
    if raw is None:
        return (fields.get("mobile", "") + fields.get("content", "")).encode()
    return raw.get("mobile", b"") + raw.get("content", b"")


def _md5(text: bytes) -> str:
    return md5(text).hexdigest()  # noqa: S324 - section 7


def _memory(limits: Limits) -> deque[float]:
    """Return a place for as many times as the longest window counts."""
    return deque(maxlen=max(count for count, _, _ in limits))


def _exceeded(limits: Limits, times: Sequence[float], now: float) -> int | None:
    """Return the code of the first window that is full."""
    for count, seconds, code in limits:
        if len(times) >= count and now - times[-count] < seconds:
            return code
    return None
