"""Templates render values, and find them again."""

import re
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihuyi_voice import InvalidRequest, Template
from ihuyi_voice.inputs.templates import VARIABLE
from tests.support.odd import kind_of

BIRTHDAY = Template("您的客户【变量】将于【变量】天后过生日")


def test_values_go_to_their_places_in_order() -> None:
    """The vendor's own example renders as in section 1.6."""
    assert BIRTHDAY.render("张茜", 2) == "您的客户张茜将于2天后过生日"
    assert BIRTHDAY.variables == 2


def test_a_finished_content_gives_its_values_back() -> None:
    """Match is the inverse of render."""
    assert BIRTHDAY.match("您的客户赵鑫将于3天后过生日") == ("赵鑫", "3")
    assert BIRTHDAY.check("您的客户赵鑫将于3天后过生日") == ("赵鑫", "3")


def test_a_template_without_variables_matches_itself_only() -> None:
    """A constant content is a template too."""
    plain = Template("系统告警")
    assert plain.render() == "系统告警"
    assert plain.match("系统告警") == ()
    assert plain.match("系统告警！") is None
    with pytest.raises(InvalidRequest, match="it goes on behind '系统告警'"):
        plain.check("系统告警！")


def test_a_variable_at_the_end_takes_the_rest_of_the_content() -> None:
    """What can't be a value in the rest is named."""
    template = Template("您好【变量】")
    assert template.match("您好张茜") == ("张茜",)
    with pytest.raises(InvalidRequest, match="value 1 has '！'"):
        template.check("您好张茜！")
    with pytest.raises(InvalidRequest, match="value 1 is empty"):
        template.check("您好")


def test_of_several_readings_the_last_value_is_the_shortest() -> None:
    """So the same content always gives the same values."""
    assert Template("x【变量】a【变量】b").match("xzazazb") == ("zaz", "z")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (("张茜",), "takes 2 values, 1 were given"),
        (("张茜", ""), "value 2 is empty"),
        (("张 茜", 2), "value 1 has ' '"),
        (("张茜", "2！"), "value 2 has '！'"),
        (("张茜", "２"), "value 2 has '２'"),
    ],
)
def test_a_value_that_the_vendor_would_refuse_is_refused_here(
    values: tuple[str, ...], reason: str
) -> None:
    """The error names the value and the character."""
    with pytest.raises(InvalidRequest, match=re.escape(reason)):
        BIRTHDAY.render(*values)


@pytest.mark.parametrize("value", [None, True, b"2", 2.5])
def test_a_value_of_another_type_is_refused(value: object) -> None:
    """A None from a database would be said as "None"."""
    with pytest.raises(InvalidRequest, match=f"value 2 is of type {type(value).__name__}"):
        BIRTHDAY.render("张茜", value)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - the mistake under test


def test_a_value_that_is_too_long_means_40722() -> None:
    """Both ways of meeting one say so before it costs a call."""
    short = Template("验证码【变量】。", max_value_length=4)
    with pytest.raises(InvalidRequest, match="40722"):
        short.render("12345")
    with pytest.raises(InvalidRequest, match=r"value 1 has 5 characters.*40722"):
        short.check("验证码12345。")
    assert short.match("验证码12345。") is None
    assert short.match(short.render("1234")) == ("1234",)


@pytest.mark.parametrize(
    ("content", "missing"),
    [
        ("尊敬的客户赵鑫将于3天后过生日", "'您的客户'"),
        ("您的客户赵鑫于3天后过生日", "'将于'"),
        ("您的客户赵鑫将于3天后过生日！", "'天后过生日' is missing at its end"),
        ("您的客户将于3天后过生日", "value 1 is empty"),
        ("您的客户赵 鑫将于3天后过生日", "value 1 has ' '"),
        ("您的客户赵鑫将于3.5天后过生日", "value 2 has '.'"),
    ],
)
def test_a_departure_from_the_template_is_named(content: str, missing: str) -> None:
    """4072 is found before it costs a call: a text that isn't there, or a value that is none."""
    assert BIRTHDAY.match(content) is None
    with pytest.raises(InvalidRequest, match=rf"4072.*{missing}"):
        BIRTHDAY.check(content)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "needs some text"), (VARIABLE, "needs some text"), (f"a{VARIABLE * 2}b", "side by side")],
)
def test_a_template_nobody_could_match_is_refused(text: str, reason: str) -> None:
    """Two variables side by side have no border between their values."""
    with pytest.raises(InvalidRequest, match=reason):
        Template(text)


def test_the_longest_value_must_have_a_length() -> None:
    """A limit of 0 would refuse everything."""
    with pytest.raises(InvalidRequest, match="must be above 0"):
        Template("a", 0)


@pytest.mark.parametrize("odd", [None, 7, b"x", ["x"], object()], ids=kind_of)
def test_what_is_no_text_is_refused_by_its_name(odd: Any) -> None:
    """As a template and as a content, which a database may lack."""
    with pytest.raises(InvalidRequest, match="template must be text"):
        Template(odd)
    for ask in (Template("您好【变量】").match, Template("您好【变量】").check):
        with pytest.raises(InvalidRequest, match="content must be text"):
            ask(odd)


def test_templates_are_values() -> None:
    """Equal texts make equal templates, which can be keys of a dict."""
    assert Template("a【变量】") == Template("a【变量】")
    assert len({Template("a【变量】"), Template("a【变量】")}) == 1


literals = st.text("ab。", min_size=1, max_size=3)
values = st.text("ab", min_size=1, max_size=3)


@given(st.lists(literals, min_size=2, max_size=4), st.data())
def test_match_finds_what_render_made(parts: list[str], data: st.DataObject) -> None:
    """Whatever the values, the values found render the same content again."""
    template = Template(VARIABLE.join(parts))
    content = template.render(*[data.draw(values) for _ in parts[1:]])
    found = template.match(content)
    assert found is not None
    assert template.render(*found) == content


@given(
    st.lists(literals, min_size=1, max_size=4),
    st.lists(st.text("ab。", max_size=3), min_size=3, max_size=3),
    st.sampled_from(["", "", "a", "。"]),
    st.sampled_from([None, 1, 2]),
)
def test_match_agrees_with_trying_everything(
    parts: list[str], gaps: list[str], tail: str, longest: int | None
) -> None:
    """It succeeds if and only if some set of values makes the content (oracle: backtracking)."""
    content = "".join(f"{gap}{part}" for gap, part in zip(["", *gaps], parts, strict=False)) + tail
    gap = f"[ab]{{1,{longest or ''}}}"
    oracle = re.fullmatch(gap.join(re.escape(part) for part in parts), content)
    template = Template(VARIABLE.join(parts), longest)
    found = template.match(content)
    assert (found is None) == (oracle is None)
    if found is not None:
        assert template.render(*found) == content
        return
    with pytest.raises(InvalidRequest, match=r"4072(?!.* None)"):
        template.check(content)


def test_hostile_content_takes_linear_time() -> None:
    """A content that would send a backtracking matcher into cubic time is done at once."""
    hostile = Template(VARIABLE.join(["a"] * 6) + "b", 50)
    assert hostile.match("a" * 100_000) is None
    assert Template(VARIABLE.join(["a"] * 6) + "b").match("a" * 100_000 + "b") is not None


def test_chinese_letters_and_digits_are_values_and_nothing_else_is() -> None:
    """Section 1.6 names the three kinds."""
    template = Template("：【变量】。")
    for text in ("张", "𠀀", "z", "Z", "9", "張茜abc123"):
        assert template.match(f"：{text}。") == (text,)
    for first, second in product("张a1", "，。 -_é\n０"):
        assert template.match(f"：{first}{second}。") is None
