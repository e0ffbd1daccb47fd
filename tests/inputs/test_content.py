"""What can be said, and what a person is told if it can't."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice import InvalidRequest
from ihuyi_voice.inputs.content import validate_content


@pytest.mark.parametrize(
    "content",
    ["您的订单号是：9633。", " a ", "first\r\n\tsecond", "👨‍👩‍👧", "a\u200b", "\ufeff好", "𠀀"],
)
def test_a_content_comes_back_as_it_is(content: str) -> None:
    """The dynamic password covers it, so not even blanks are taken away."""
    assert validate_content(content, None) == content


@pytest.mark.parametrize("content", ["", " ", "\u3000\n\t", "\u200b", "\ufeff \u2060"])
def test_a_content_with_nothing_to_say_is_refused(content: str) -> None:
    """Blanks of any kind, also those that are no spaces to Python."""
    with pytest.raises(InvalidRequest, match=r"empty|nothing to say") as caught:
        validate_content(content, None)
    assert caught.value.field == "content"


@pytest.mark.parametrize("char", ["\0", "\x1b", "\x7f", "\x85", "\ud800"])
def test_a_character_that_cannot_be_sent_is_named_with_its_place(char: str) -> None:
    """Control characters and halves of surrogate pairs."""
    with pytest.raises(InvalidRequest, match=rf"U\+{ord(char):04X} at place 3"):
        validate_content(f"您好{char}。", None)
    with pytest.raises(InvalidRequest, match=r"at place 1|empty"):
        validate_content(char, None)


def test_the_longest_content_is_counted_in_characters() -> None:
    """180 in older documents of the vendor; one more is refused."""
    assert validate_content("好" * 180, 180)
    with pytest.raises(InvalidRequest, match="has 181 characters; at most 180 are allowed"):
        validate_content("好" * 181, 180)


def test_a_content_that_is_no_text_is_refused() -> None:
    """Bytes have an encoding that nobody told us."""
    with pytest.raises(InvalidRequest, match="of type bytes, not text"):
        validate_content(b"abc", None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - the mistake under test


@given(st.text() | st.text(st.characters(categories=["Cs", "Cc", "Cf", "Zs", "Lo"])))
def test_whatever_is_let_through_can_be_encoded(content: str) -> None:
    """And anything else is an InvalidRequest."""
    try:
        passed = validate_content(content, None)
    except InvalidRequest:
        return
    assert passed == content
    assert passed.encode().decode() == content
    assert passed.strip()
