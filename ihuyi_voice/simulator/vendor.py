"""The vendor's mind: what it knows of an account, and its answer to each request.

It checks in this order: account, password, frozen account; for a submission then number, black
list, content, sensitive words, template, balance, limits per number. Only accepted submissions
count in the limits, since no other makes a phone ring.
"""

import math
import re
from collections import deque
from collections.abc import Callable
from hashlib import md5
from typing import Final

import attrs

from ihuyi_voice.simulator import tables

VARIABLE: Final = "【变量】"
_NUMBER: Final = re.compile(r"1[3-9]\d{9}|0\d{9,11}", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{32}")
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
    """

    template_id: str
    content: str
    approved: bool
    approved_from: float = math.inf
    pattern: re.Pattern[str] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        literals = [re.escape(part) for part in self.content.split(VARIABLE)]
        self.pattern = re.compile("([0-9A-Za-z\u3400-\u9fff]+?)".join(literals))


@attrs.frozen
class Answer:
    """What the vendor replies: the code and, where there is one, the id or the balance."""

    code: int
    value: str | None = None


@attrs.define(eq=False)
class Vendor:
    """One account at the vendor.

    Attributes:
        account: The APIID.
        api_key: The APIKEY.
        balance: Notifications left; counts down.
        limits: Windows per number: (calls, seconds, code).
        blacklist: Numbers that get 4030.
        sensitive_words: Words that get 407.
        check_templates: Whether contents must follow an approved template.
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
    limits: tuple[tuple[int, float, int], ...] = tables.LIMITS
    blacklist: frozenset[str] = frozenset()
    sensitive_words: tuple[str, ...] = ()
    check_templates: bool = False
    max_value_length: int | None = None
    max_password_age: float | None = None
    auto_approve: bool = False
    frozen: bool = False
    templates: dict[str, StoredTemplate] = attrs.field(factory=dict[str, StoredTemplate])
    _times: dict[str, deque[float]] = attrs.field(
        factory=dict[str, deque[float]], init=False, repr=False
    )
    _voice_ids: int = attrs.field(default=_FIRST_VOICE_ID, init=False)
    _template_ids: int = attrs.field(default=_FIRST_TEMPLATE_ID, init=False)

    def answer(self, operation: str, fields: dict[str, str]) -> Answer:
        """Act on a request and return the reply."""
        refusal = self._who(operation, fields)
        if refusal is not None:
            return Answer(refusal)
        return _ACTS[operation](self, fields)

    def store_template(self, content: str, *, approved: bool) -> StoredTemplate:
        """Keep a template without a request, as if it had been handed in before."""
        template = StoredTemplate(str(self._template_ids), content, approved)
        self._template_ids += 1
        self.templates[template.template_id] = template
        return template

    def _who(self, operation: str, fields: dict[str, str]) -> int | None:
        if not fields.get("account"):
            return 401
        if not fields.get("password"):
            return 402
        if fields["account"] != self.account or not self._right_password(operation, fields):
            return 405
        if self._too_old(fields):
            return 40501
        return 4050 if self.frozen else None

    def _right_password(self, operation: str, fields: dict[str, str]) -> bool:
        password = fields["password"]
        if password == self.api_key:
            return True
        time = fields.get("time", "")
        if not (len(time) == 10 and time.isascii() and time.isdigit()):  # noqa: PLR2004 - section 7: 10 digits
            return False
        said = fields.get("mobile", "") + fields.get("content", "") if operation == "Submit" else ""
        text = f"{self.account}{self.api_key}{said}{time}"
        return password.lower() == md5(text.encode()).hexdigest()  # noqa: S324 - section 7

    def _too_old(self, fields: dict[str, str]) -> bool:
        if self.max_password_age is None or fields["password"] == self.api_key:
            return False
        return abs(self.clock() - int(fields["time"])) > self.max_password_age

    def submit(self, fields: dict[str, str]) -> Answer:
        """Call a number (section 2)."""
        mobile, content = fields.get("mobile", ""), fields.get("content", "")
        refusal = (
            self._number_refused(mobile)
            or self._content_refused(content)
            or (4051 if self.balance <= 0 else None)
            or self._limit_refused(mobile)
        )
        if refusal is not None:
            return Answer(refusal)
        self.balance -= 1
        self._times.setdefault(mobile, deque(maxlen=self._memory)).append(self.clock())
        self._voice_ids += 1
        return Answer(2, str(self._voice_ids))

    @property
    def _memory(self) -> int:
        return max((count for count, _, _ in self.limits), default=0)

    def _number_refused(self, mobile: str) -> int | None:
        if not mobile:
            return 403
        if not _NUMBER.fullmatch(mobile):
            return 406
        return 4030 if mobile in self.blacklist else None

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

    def _limit_refused(self, mobile: str) -> int | None:
        times = self._times.get(mobile, ())
        now = self.clock()
        for count, seconds, code in self.limits:
            if len(times) >= count and now - times[-count] < seconds:
                return code
        return None

    def get_num(self, _: dict[str, str]) -> Answer:
        """Tell the balance (section 3)."""
        return Answer(2, str(self.balance))

    def add_template(self, fields: dict[str, str]) -> Answer:
        """Take a template for audit (section 4)."""
        content = fields.get("content", "")
        if not content:
            return Answer(404)
        if any(word in content for word in self.sensitive_words):
            return Answer(407)
        if any(template.content == content for template in self.templates.values()):
            return Answer(408)
        return Answer(2, self.store_template(content, approved=self.auto_approve).template_id)

    def del_template(self, fields: dict[str, str]) -> Answer:
        """Forget a template (section 5)."""
        known = self.templates.pop(fields.get("templateid", ""), None)
        return Answer(404 if known is None else 2)


_ACTS: Final[dict[str, Callable[[Vendor, dict[str, str]], Answer]]] = {
    "Submit": Vendor.submit,
    "GetNum": Vendor.get_num,
    "AddTemplate": Vendor.add_template,
    "DelTemplate": Vendor.del_template,
}


def write_reply(operation: str, answer: Answer, reply_format: str) -> bytes:
    """Return the body of a reply, byte-shaped as the vendor's."""
    root, name, nothing = tables.SHAPES[operation]
    msg = tables.TEXTS[operation].get(answer.code, "")
    value = nothing if answer.value is None else answer.value
    if reply_format == "json":
        tail = f',"{name}":"{value}"' if name else ""
        return f'{{"code":{answer.code},"msg":"{msg}"{tail}}}'.encode()
    tail = f"<{name}>{value}</{name}>\n" if name else ""
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<{root} xmlns="http://106.ihuyi.com/">\n'
        f"<code>{answer.code}</code>\n<msg>{msg}</msg>\n{tail}</{root}>\n"
    ).encode()
