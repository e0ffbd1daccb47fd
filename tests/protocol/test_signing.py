"""The dynamic password is what the vendor's document says (section 7)."""

from hashlib import md5
from typing import Any

import pytest

from ihuyi_voice import InvalidRequest, Operation
from ihuyi_voice.protocol.signing import Credentials, signer

KEY = "1q784322ba1d9bb88d50cf5cdfd89k7d"
TIME = "1451544941"


def _md5(text: str) -> str:
    return md5(text.encode()).hexdigest()  # noqa: S324 - the vendor's choice


def test_a_submission_is_signed_as_in_the_vendors_first_example() -> None:
    """Section 7: account, key, mobile, content, time."""
    fields = {"mobile": "138xxxxxxxx", "content": "1125"}
    expected = _md5("test1q784322ba1d9bb88d50cf5cdfd89k7d138xxxxxxxx11251451544941")
    assert signer(Operation.SUBMIT, Credentials("test", KEY), fields)(TIME) == expected


@pytest.mark.parametrize(
    "operation", [Operation.BALANCE, Operation.ADD_TEMPLATE, Operation.DELETE_TEMPLATE]
)
def test_all_else_is_signed_as_in_the_vendors_second_example(operation: Operation) -> None:
    """Section 7: account, key, time; for the template operations that is not confirmed."""
    expected = _md5("test1q784322ba1d9bb88d50cf5cdfd89k7d1451544941")
    fields = {"content": "is not hashed", "templateid": "1"}
    assert signer(operation, Credentials("test", KEY), fields)(TIME) == expected


def test_chinese_content_is_hashed_as_utf8() -> None:
    """The hash covers the bytes that are sent."""
    fields = {"mobile": "13900000000", "content": "您好"}
    expected = _md5(f"test{KEY}13900000000您好{TIME}")
    assert signer(Operation.SUBMIT, Credentials("test", KEY), fields)(TIME) == expected


def test_blanks_pasted_around_account_and_key_are_stripped() -> None:
    """A trailing line end from the console costs nobody a silent 405."""
    credentials = Credentials(" test\n", f"\t{KEY}\u3000\n")
    assert (credentials.account, credentials.api_key) == ("test", KEY)


@pytest.mark.parametrize(
    ("account", "key", "field"),
    [("", KEY, "account"), ("test", " \n", "api_key"), ("te st", KEY, "account"),
     ("ＶＭ12345678", KEY, "account"), ("test", KEY.replace("1", "１"), "api_key"),
     ("test", "a\u200bb", "api_key")],
)  # fmt: skip
def test_credentials_that_cannot_be_right_are_refused(account: str, key: str, field: str) -> None:
    """The error names the one, and does not show it."""
    with pytest.raises(InvalidRequest, match=field) as caught:
        Credentials(account, key)
    assert caught.value.field == field
    assert KEY not in str(caught.value)


def test_the_key_is_in_no_repr() -> None:
    """Credentials may be logged by accident."""
    assert KEY not in repr(Credentials("test", KEY))


class SecretStr:
    """What pydantic gives for a secret."""

    def get_secret_value(self) -> str:
        """Show it."""
        return KEY


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "api_key is None; the vendor's console shows it"),
        ("", "api_key is empty; the vendor's console shows it"),
        (SecretStr(), "api_key is a SecretStr; give its text: api_key.get_secret_value()"),
        (b"key", "api_key must be text, not bytes"),
        (7, "api_key must be text, not int"),
        ('"a1b2"', "api_key has quotes around it; leave them out"),
        ("'a1b2'", "api_key has quotes around it; leave them out"),
        ("“a1b2”", "api_key has quotes around it; leave them out"),
        ("ａ1b2", "api_key has full-width letters or digits; type them in half width"),
        ("a１b2", "api_key has full-width letters or digits; type them in half width"),
        ("a－b2", "api_key has full-width letters or digits; type them in half width"),
        ("a b", "api_key has a blank or an invisible character inside; copy it again"),
    ],
)
def test_what_is_no_key_is_said_in_words(value: Any, text: str) -> None:
    """With what to do, and without showing it."""
    with pytest.raises(InvalidRequest) as caught:
        Credentials("test", value)
    assert (str(caught.value), caught.value.field) == (text, "api_key")
