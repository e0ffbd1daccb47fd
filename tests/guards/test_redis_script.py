"""Where things are in Redis: older and newer versions of the guard may share one server."""

import pytest

from ihuyi_voice.guards.redis_script import key_of_account, place_of, read_answer


@pytest.mark.parametrize(
    ("mobile", "bucket", "field"),
    [
        ("13900000000", b"736", b"848544"),
        ("013900000000", b"12899", b"-61894879"),
        ("0", b"16371", b"-1"),
        ("99999999999999999", b"5296", b"6104633416763"),
        ("999999999999999999", b"2875", b"=999999999999999999"),
        ("+8613900000000", b"16258", b"=+8613900000000"),
        ("\uff11\uff13\uff19", b"16245", b"=\xef\xbc\x91\xef\xbc\x93\xef\xbc\x99"),
        ("\ud800", b"2672", b"=\xed\xa0\x80"),
    ],
)
def test_a_number_is_where_it_was(mobile: str, bucket: bytes, field: bytes) -> None:
    """Or two versions beside each other would call it twice within its second."""
    assert place_of(mobile) == (bucket, field)


def test_an_accounts_keys_begin_as_they_did() -> None:
    """With its hash tag, whatever is in its name."""
    assert key_of_account("ihuyi", "VM12345678") == b"{ihuyi:VM12345678}:"
    assert key_of_account("x", "a/b}c") == b"{x:a%2Fb%7Dc}:"


@pytest.mark.parametrize("raw", [b"", b"OK", None, 5, b"x" * 17])
def test_what_is_no_answer_is_not_taken_for_one(raw: object) -> None:
    """It says what is missing."""
    with pytest.raises(ValueError, match=r"^it gave no answer of the guard's script$"):
        read_answer(raw, 0)
