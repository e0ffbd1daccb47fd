"""The page of a run: what stands in it, what cannot be injected, and how it looks."""

import html
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ihuyi_voice import OutcomeUnknown
from ihuyi_voice.cli import page
from ihuyi_voice.cli.language import Language, choose
from ihuyi_voice.ledger import CodeCount, Entry, Fate, RunReport, Slice
from ihuyi_voice.models import DeliveryReport, Message, OutcomeStatus
from tests.support.browser import Browser, browsing, need_browser
from tests.support.command import CONTENT

NOW = datetime(2026, 11, 25, 0, 0, tzinfo=UTC)
START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC).timestamp()
EVIL = '</td></style></title><script>alert(1)</script><img src=//evil.example/x onerror=alert(1)>"'


def unknown(key: str, mobile: str, reference: str, text: str, voice_id: str, at: float) -> Entry:
    """Return an entry whose end nobody knows."""
    moment = datetime.fromtimestamp(at, UTC)
    message = Message(mobile, CONTENT, reference)
    report = DeliveryReport(voice_id, 2, mobile)
    error = OutcomeUnknown(text)
    status = OutcomeStatus.UNKNOWN
    return Entry(key, message, status, None, moment, moment, 1, error, candidates=(report,))


UNCERTAIN = tuple(
    unknown(f"order-{place}", f"1390000{place:04d}", f"order-{place}-shipped",
            "the process died in flight", "7123456789012345", START + place)
    for place in range(30)
)  # fmt: skip
REPORT = RunReport(
    "VM12345678",
    "2026-11-24 发货提醒",
    states={
        OutcomeStatus.ACCEPTED: 96_012, OutcomeStatus.REJECTED: 2411, OutcomeStatus.HELD: 12,
        OutcomeStatus.NOT_SENT: 31, OutcomeStatus.UNKNOWN: 214, "OPEN": 1320,
    },
    people={Fate.ANSWERED: 70_213, Fate.NOT_REACHED: 15_100, Fate.AWAITED: 10_600,
            Fate.UNCERTAIN: 209, Fate.REFUSED: 2399, Fate.NOT_CALLED: 1357},
    begun=START,
    ended=START + 2000,
    codes=[CodeCount(2, 96_012), CodeCount(4030, 2410), CodeCount(9999, 1, "新的")],
    reasons=[("no connection to 13900000001", 31)],
    ends=[CodeCount(2, 70_500), CodeCount(-6, 9800), CodeCount(-77, 3, "别的")],
    slices=[
        Slice(START + 60 * place, {"ACCEPTED": 2900 + place, "REJECTED": 70, "UNKNOWN": 6},
              [(0.05, 2800), (0.4, 150)])
        for place in range(34)
    ],
    span=60.0,
    uncertain=UNCERTAIN,
)  # fmt: skip
EMPTY = RunReport("VM12345678", "empty", {"OPEN": 0}, {})
OVERFLOWING = """
const wide = [...document.querySelectorAll("body *")].filter(each => {
  const box = each.getBoundingClientRect();
  return box.right > document.documentElement.clientWidth + 1 || box.left < -1;
});
return [document.documentElement.scrollWidth > innerWidth, wide.map(each => each.outerHTML)];
"""
CLIPPED = """
return [...document.querySelectorAll("td, th, dd, dt, p, h1, h2")].filter(
  each => each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).display != "inline"
).map(each => each.outerHTML)
"""


def made(report: RunReport, language: Language = Language.EN) -> str:
    """Return the page of a report."""
    choose(language)
    return page.render(report, NOW)


def words(text: str) -> str:
    """Return what a reader sees of a page."""
    bare = re.sub(r"<style.*?</style>|<svg.*?</svg>", "", text, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<.*?>", " ", bare, flags=re.DOTALL)).split())


class Elements(HTMLParser):
    """What elements and attributes a page has."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append(tag)
        self.attributes += attrs


def elements(text: str) -> Elements:
    """Return the elements of a page."""
    found = Elements()
    found.feed(text)
    return found


def test_the_headline_says_what_people_have_got() -> None:
    """How many were called, answered, not reached and uncertain, and their shares."""
    told = words(made(REPORT))
    assert "Voice run 2026-11-24 发货提醒" in told
    assert "2026-11-24 20:00:00 to 2026-11-24 20:33:20 (UTC+8), 33 min; " in told
    assert "99,878 people called 95,913 96.0 % answered 70,213 70.3 % not reached 15,100" in told
    assert "uncertain 209 0.2 % refused 2,399 2.4 % not called 1,357 1.4 %" in told
    assert "100,000 messages to 99,878 numbers" in told


def test_what_matters_is_said_in_words() -> None:
    """What is uncertain and what is left; a code that stops goes first, and all done is said."""
    told = words(made(REPORT))
    assert "214 messages are uncertain: the phone may have rung." in told
    assert "Not finished: 1,363 messages have not been sent. Run the same command again" in told
    stopped = words(made(attrs.evolve(REPORT, codes=[CodeCount(4051, 1)])))
    assert "refused the whole account with 4051: 剩余条数不足. Mend that first." in stopped
    done = words(made(attrs.evolve(REPORT, states={OutcomeStatus.ACCEPTED: 3})))
    assert "Done: everything has its outcome." in done
    assert "Not finished" not in done


def test_codes_and_ends_have_their_meaning() -> None:
    """The vendor's text, what to do, and how it ended; those in no table have the vendor's own."""
    told = words(made(REPORT))
    assert "4030 2,410 手机号码已被列入黑名单 correct it before it is sent again" in told
    assert "9999 1 新的 ask the vendor; the code is in no table" in told
    assert "2 96,012 提交成功 nothing" in told
    assert "-6 9,800 12.2 % 无人接听 no answer" in told
    assert "-77 3 0.0 % 别的 in no table" in told
    assert "NOT_SENT 31 0.0 % yes, once what is wrong is mended" in told


def test_numbers_are_masked_wherever_they_stand() -> None:
    """In the list, in references and in reasons."""
    evil = unknown("x", "13900000000", "call 13912345678", "13912345678 died", "7", START)
    text = made(attrs.evolve(REPORT, uncertain=[evil]))
    assert "139****0000" in text
    assert not re.search(r"1[3-9]\d{9}(?!\d)", re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL))
    assert "no connection to 139****0001" in words(text)


def test_the_list_says_how_many_more_there_are() -> None:
    """It has the first only."""
    assert "… and 184 more: ihuyi-voice ledger unknown" in words(made(REPORT))
    assert "reports that may fit: 7123456789012345" in words(made(REPORT))


def test_chinese_is_chinese() -> None:
    """The same page in the other language, down to its attribute."""
    text = made(REPORT, Language.ZH)
    assert '<html lang="zh">' in text
    told = words(text)
    assert "共 99,878 人 已拨打 95,913 96.0% 已接听 70,213" in told
    assert "4030 2,410 手机号码已被列入黑名单 修改后再发" in told
    assert "尚未完成：还有 1,363 条未发送" in told


def test_a_run_without_anything_has_a_page() -> None:
    """It says that nothing was sent."""
    told = words(made(EMPTY))
    assert "nothing has been sent yet" in told
    assert "Done" not in told
    assert "0 people called 0 0.0 %" in told
    assert "No delivery report has come yet." in told


def test_charts_are_drawn_without_script_or_style_attributes() -> None:
    """As SVG in the page, one of each; titles for those who can't see them."""
    text = made(REPORT)
    assert text.count("<svg") == 4
    found = elements(text)
    assert "script" not in found.tags
    assert not [name for name, _ in found.attributes if name == "style" or name.startswith("on")]
    assert sum(name == "aria-label" for name, _ in found.attributes) == 4


def test_nothing_comes_from_a_network() -> None:
    """No address but the names of XML spaces, and a policy that allows nothing but our styles."""
    text = made(REPORT)
    assert set(re.findall(r"https?://[^\s\"'<>]+", text)) <= {
        *("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"),
        "http://www.gnu.org/licenses/&gt;.",  # in a comment of pygal's licence
    }
    assert re.search(
        r"Content-Security-Policy\" content=\"default-src &#39;none&#39;; base-uri &#39;none&#39;; "
        r"form-action &#39;none&#39;; style-src (&#39;sha256-[\w+/=]+&#39; ?)+\"",
        text,
    )
    assert not {"link", "img", "iframe", "script", "form", "a", "object"} & set(elements(text).tags)


def infested(text: str) -> RunReport:
    """Return a report in which everything that comes from outside is this text."""
    return attrs.evolve(
        REPORT,
        account=text,
        run=text,
        codes=[CodeCount(9999, 1, text)],
        ends=[CodeCount(-77, 1, text)],
        reasons=[(text, 1)],
        uncertain=[unknown(text, text, text, text, text, START)],
    )


def test_nothing_that_comes_from_outside_becomes_markup() -> None:
    """Run, account, texts, references, reasons and ids: the page has the elements that it had."""
    harmless, hostile = elements(made(infested("x"))), elements(made(infested(EVIL)))
    assert hostile.tags == harmless.tags
    assert [name for name, _ in hostile.attributes] == [name for name, _ in harmless.attributes]


@pytest.mark.long
@settings(max_examples=25, deadline=None)
@given(st.text(min_size=1))
def test_no_text_at_all_becomes_markup(text: str) -> None:
    """Whatever characters it has, control characters and lone halves of pairs among them."""
    rendered = made(infested(text))
    assert elements(rendered).tags == elements(made(infested("x"))).tags
    rendered.encode()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for all the pages."""
    need_browser()
    with browsing(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.mark.long
@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize(
    "report", [REPORT, EMPTY, infested(EVIL * 3)], ids=["full", "empty", "evil"]
)
def test_nothing_overflows_on_any_screen(
    browser: Browser, tmp_path: Path, report: RunReport, language: Language, width: int
) -> None:
    """Nothing scrolls sideways or is cut off on a phone or a desk; the browser has no complaint."""
    file = tmp_path / "report.html"
    file.write_text(made(report, language), encoding="utf-8")
    browser.show(file, width)
    sideways, wide = browser.run(OVERFLOWING)
    assert (sideways, wide) == (False, [])
    assert browser.run(CLIPPED) == []
    assert browser.complaints() == []


def test_it_is_light_by_day_and_dark_by_night(browser: Browser, tmp_path: Path) -> None:
    """As the reader's system says; the styles are taken, so the policy lets them."""
    file = tmp_path / "report.html"
    file.write_text(made(REPORT), encoding="utf-8")
    colours = list[str]()
    for dark in (False, True):
        browser.show(file, 390, dark=dark)
        colours.append(browser.run("return getComputedStyle(document.body).backgroundColor"))
        fill = browser.run("return getComputedStyle(document.querySelector('.slice path')).fill")
        assert fill.startswith("rgb(")
    assert colours == ["rgb(246, 247, 249)", "rgb(18, 22, 28)"]


def test_what_an_injection_would_need_is_refused(browser: Browser, tmp_path: Path) -> None:
    """A script and a style that got into the page all the same would do nothing."""
    file = tmp_path / "report.html"
    attack = "<script>document.title='owned'</script><style>body{opacity:0}</style>"
    file.write_text(made(REPORT).replace("</header>", f"</header>{attack}"), encoding="utf-8")
    browser.show(file, 390)
    assert browser.run("return document.title") != "owned"
    assert browser.run("return getComputedStyle(document.body).opacity") == "1"
    assert len(browser.complaints()) == 2


def test_charts_leave_no_hook_in_the_imports() -> None:
    """Their library leaves one behind, which makes Python warn at each later import."""
    assert not [hook for hook in sys.meta_path if "pygal" in type(hook).__module__]
