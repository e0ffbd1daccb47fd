"""The simulator as a server: its options, each checked, and what it shows of what arrives."""

import json
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import attrs

from ihuyi_voice.cli.language import text
from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.inputs import check_not_negative
from ihuyi_voice.simulator import Arrival, Fault, FaultKind, Simulator
from ihuyi_voice.simulator.tables import LIMITS, MAGIC_NUMBERS, MAGIC_RESULTS, REPEAT_LIMITS

SEEN: Final = "/seen"
"""Where the page of what it saw is."""

_KEPT: Final = 1_000
_ANSWERED: Final = 2
_LIMITS: Final[dict[str, dict[str, Any]]] = {
    "vendor": {"limits": LIMITS},
    "none": {"limits": ()},
    "repeat": {"limits": LIMITS, "repeat_limits": REPEAT_LIMITS},
}
_NUMBERS: Final[dict[str, Callable[[str], Any]]] = {
    **dict.fromkeys(("share", "seconds", "jitter"), float),
    **dict.fromkeys(("nth", "times", "status", "code"), int),
    **dict.fromkeys(("operation", "mobile"), str),
}


@attrs.frozen
class SimulatorSettings:
    """What `ihuyi-voice simulate` can be told."""

    account: str
    api_key: str = attrs.field(repr=False)
    balance: int
    templates: tuple[str, ...]
    latency: float
    jitter: float
    push_to: str = attrs.field(default="", repr=False)
    report_delay: float = 1.0
    limits: str = "vendor"
    blacklist: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    magic: bool = True
    tls_cert: str = ""
    tls_key: str = ""

    def __attrs_post_init__(self) -> None:
        check_not_negative("--balance", self.balance)
        for name in ("latency", "jitter", "report_delay"):
            check_not_negative(f"--{name.replace('_', '-')}", getattr(self, name))
        for name in ("account", "api_key"):
            if not getattr(self, name).strip():
                _refuse("simulate.empty", name=f"--{name.replace('_', '-')}")
        if self.limits not in _LIMITS:
            _refuse("simulate.limits.wrong", given=self.limits, choices=", ".join(_LIMITS))
        if bool(self.tls_cert) != bool(self.tls_key):
            _refuse("simulate.tls.half")
        _check_push(self.push_to)

    def options(self) -> dict[str, Any]:
        """Return the simulator's own options."""
        magic = {"refusals": MAGIC_NUMBERS, "results": _result} if self.magic else {}
        return {
            "balance": self.balance,
            "templates": self.templates or None,
            "latency": self.latency,
            "jitter": self.jitter,
            "push_to": self.push_to,
            "report_delay": self.report_delay,
            "blacklist": self.blacklist,
            "sensitive_words": self.sensitive,
            "auto_approve": True,  # nobody could do it by hand
            "keep_arrivals": _KEPT,
            **_LIMITS[self.limits],
            **magic,
        }

    def tls(self) -> dict[str, str]:
        """Return its certificate, if there is one.

        Raises:
            InvalidRequest: It can't be read, or isn't the key's.
        """
        if not self.tls_cert:
            return {}
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                self.tls_cert, self.tls_key
            )
        except OSError as exc:
            raise _refusal("simulate.tls.wrong", reason=exc.strerror or str(exc)) from exc
        return {"ssl_certfile": self.tls_cert, "ssl_keyfile": self.tls_key}


def _result(arrival: Arrival) -> int:
    return MAGIC_RESULTS.get(arrival.mobile, _ANSWERED)


def _check_push(address: str) -> None:
    parts = urlsplit(address)
    if address and not (parts.scheme in {"http", "https"} and parts.hostname):
        _refuse("simulate.push.wrong")  # not the address itself, which holds a token


def read_fault(given: str) -> Fault:
    """Read a fault as it stands on the command line: `status:status=502,share=0.01`.

    Raises:
        InvalidRequest: It is none, or a number of it can't be right.
    """
    kind, _, rest = given.partition(":")
    pairs = [each.partition("=") for each in rest.split(",") if each]
    try:
        conditions = {name.strip(): _NUMBERS[name.strip()](value) for name, _, value in pairs}
        named = FaultKind(kind.strip())
    except (KeyError, ValueError):
        kinds, names = ", ".join(FaultKind), ", ".join(sorted(_NUMBERS))
        raise _refusal("simulate.fault.wrong", given=given, kinds=kinds, names=names) from None
    try:
        return Fault(named, **conditions)
    except ValueError as exc:
        raise _refusal("simulate.fault.number", given=given, reason=str(exc)) from None


def _refusal(key: str, **values: object) -> InvalidRequest:
    return InvalidRequest(text(key, **values))


def _refuse(key: str, **values: object) -> None:
    raise _refusal(key, **values)


class Shown(Simulator):
    """A simulator that shows what it saw, on a page of its own, and each arrival as it comes.

    Args:
        settings: What it was told.
        show: Told of each arrival; None for nobody.
    """

    def __init__(
        self, settings: SimulatorSettings, show: Callable[[Arrival, int | None], None] | None
    ) -> None:
        super().__init__(settings.account, settings.api_key, **settings.options())
        for given in settings.faults:
            self.add_fault(read_fault(given))
        self._show = show

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Answer with the page, or as the vendor."""
        if scope["type"] == "http" and scope["path"] == SEEN:
            await _answer(send, self.seen())
        else:
            await super().__call__(scope, receive, send)

    def _act(self, operation: str, form: Any, fault: Fault | None) -> Any:  # noqa: ANN401 - theirs
        answer = super()._act(operation, form, fault)
        if self._show is not None:
            self._show(self.arrivals[-1], answer.code)
        return answer

    def seen(self) -> dict[str, Any]:
        """Return what it saw: counts since it began, and the last thousand requests."""
        return {
            "account": self.account,
            "balance": self.balance,
            "codes": {"none" if code is None else str(code): n for code, n in self.codes.items()},
            "requests": sum(self.codes.values()),
            "templates": [each.content for each in self.vendor.templates.values()],
            "pushes": [attrs.asdict(each, filter=_no_fields) for each in self.pushes],
            "arrivals": [_told(each) for each in self.arrivals],
        }


def _told(arrival: Arrival) -> dict[str, Any]:
    """Return an arrival without its password."""
    fields = {name: value for name, value in arrival.fields.items() if name != "password"}
    return {
        "time": arrival.time,
        "operation": arrival.operation,
        "fields": fields,
        "code": arrival.code,
        "fault": None if arrival.fault is None else arrival.fault.value,
    }


def _no_fields(attribute: "attrs.Attribute[Any]", _: object) -> bool:
    return attribute.name != "fields"


async def _answer(send: Callable[[dict[str, Any]], Any], page: Mapping[str, Any]) -> None:
    body = json.dumps(page, ensure_ascii=False, indent=1).encode()
    kind = (b"content-type", b"application/json; charset=utf-8")
    length = (b"content-length", b"%d" % len(body))
    headers = [kind, length, (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
