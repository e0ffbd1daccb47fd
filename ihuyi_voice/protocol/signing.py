"""Who we are: the credentials, and the dynamic password made of them (section 7)."""

from collections.abc import Callable
from functools import partial
from hashlib import md5
from typing import Final, Literal, TypeAlias

import attrs

from ihuyi_voice.errors import InvalidRequest
from ihuyi_voice.models import Operation

Auth: TypeAlias = Literal["signed", "plain"]
TemplateAuth: TypeAlias = Literal["plain", "md5", "signed"]

SIGNED_FIELDS: Final[dict[Operation, tuple[str, ...]]] = {
    Operation.SUBMIT: ("mobile", "content"),
    Operation.BALANCE: (),
    # The document gives no formula for the template operations. Balance's is the likely one and
    # not confirmed: they are sent plain unless somebody asks for this.
    Operation.ADD_TEMPLATE: (),
    Operation.DELETE_TEMPLATE: (),
}
"""The fields that are hashed between account and key, and the time."""


_QUOTES: Final = frozenset("\"'`“”‘’")
_FULL_WIDTH: Final = frozenset(map(chr, range(0xFF01, 0xFF5F)))  # as Chinese keyboards type them


def _clean(text: object, name: str) -> str:
    if not isinstance(text, str):
        raise InvalidRequest(_no_text(text, name), field=name)
    stripped = text.strip()
    if not stripped:
        raise InvalidRequest(f"{name} is empty; the vendor's console shows it", field=name)
    if any(not char.isprintable() or char.isspace() for char in stripped):
        raise InvalidRequest(
            f"{name} has a blank or an invisible character inside; copy it again", field=name
        )
    if stripped[0] in _QUOTES and stripped[-1] in _QUOTES:  # docker's --env-file keeps them
        raise InvalidRequest(f"{name} has quotes around it; leave them out", field=name)
    if not _FULL_WIDTH.isdisjoint(stripped):
        raise InvalidRequest(
            f"{name} has full-width letters or digits; type them in half width", field=name
        )
    return stripped


def _no_text(value: object, name: str) -> str:
    if value is None:
        return f"{name} is None; the vendor's console shows it"
    if hasattr(value, "get_secret_value"):
        return f"{name} is a {type(value).__name__}; give its text: {name}.get_secret_value()"
    return f"{name} must be text, not {type(value).__name__}"


def _clean_account(text: str) -> str:
    return _clean(text, "account")


def _clean_key(text: str) -> str:
    return _clean(text, "api_key")


@attrs.frozen
class Credentials:
    """Account (APIID) and key (APIKEY); blanks that were pasted around either are stripped."""

    account: str = attrs.field(converter=_clean_account)
    api_key: str = attrs.field(converter=_clean_key, repr=False)


def signer(
    operation: Operation, credentials: Credentials, fields: dict[str, str]
) -> Callable[[str], str]:
    """Return what makes the dynamic password of a request for a time (section 7).

    Args:
        operation: What is asked; it decides which fields are hashed.
        credentials: Whose request it is.
        fields: The fields of the request.

    Returns:
        A function of the request's Unix time, 10 digits, as it is sent; it returns an MD5 in 32
        hexadecimal digits.
    """
    hashed = "".join([fields[name] for name in SIGNED_FIELDS[operation]])
    return partial(_dynamic_password, f"{credentials.account}{credentials.api_key}{hashed}")


def _dynamic_password(before: str, time: str) -> str:
    return md5(f"{before}{time}".encode()).hexdigest()  # noqa: S324 - the vendor's choice


def hashed_key(credentials: Credentials) -> str:
    """Return the MD5 of the key alone, as clients of the vendor send it for templates."""
    return md5(credentials.api_key.encode()).hexdigest()  # noqa: S324 - the vendor's choice
