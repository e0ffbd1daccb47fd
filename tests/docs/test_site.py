"""The site builds without a warning, its links lead somewhere, and it fits a phone."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from lxml import html

from tests.docs.examples import PAGES, ROOT
from tests.support.browser import browsing, need_browser

pytestmark = pytest.mark.long

pytest.importorskip("furo", reason="the extra `docs` isn't installed")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both languages, once."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "ihuyi_voice.docs", str(out)]
    done = subprocess.run(  # noqa: S603 - our own words
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return out


@cache
def _read(page: Path) -> tuple[list[str], frozenset[str]]:
    """A page's links, and the places in it."""
    tree = html.parse(str(page))
    return [str(link) for link in tree.xpath("//a/@href")], frozenset(tree.xpath("//@id"))


def _dead_links(page: Path) -> list[str]:
    dead: list[str] = []
    for link in _read(page)[0]:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (page.parent / parts.path).resolve() if parts.path else page
        there = target.is_file() and (not parts.fragment or parts.fragment in _read(target)[1])
        if not there:
            dead.append(link)
    return dead


def test_every_link_leads_somewhere(site: Path) -> None:
    """To a page that is there, and to a place in it that is there."""
    pages = [
        page for page in site.glob("[ez][nh]/*.html") if page.stem not in {"search", "genindex"}
    ]
    assert len(pages) >= len(PAGES)
    assert {page.name: dead for page in pages if (dead := _dead_links(page))} == {}


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_its_screen(site: Path, width: int, tmp_path: Path) -> None:
    """On a phone and on a desk."""
    need_browser()
    with browsing(tmp_path) as shown:
        for page in sorted(site.glob("[ez][nh]/*.html")):
            shown.show(page, width)
            wide = shown.run("return document.documentElement.scrollWidth")
            assert wide <= width, page.name


_OUTSIDE = """
return [...document.querySelectorAll(".picture .node")].flatMap(node => {
  const box = node.querySelector("path, polygon").getBoundingClientRect();
  return [...node.querySelectorAll("text")].filter(text => {
    const words = text.getBoundingClientRect();
    return words.left < box.left - 1 || words.right > box.right + 1;
  }).map(text => text.textContent);
});
"""

_CONTRAST = """
const light = colour => {
  const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map(part => part / 255)
    .map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const page = light(getComputedStyle(document.body).backgroundColor);
return Math.min(...[...document.querySelectorAll(".picture text")].map(text => {
  const ink = light(getComputedStyle(text).fill);
  return (Math.max(ink, page) + 0.05) / (Math.min(ink, page) + 0.05);
}));
"""


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_the_pictures_are_legible(site: Path, width: int, mode: str, tmp_path: Path) -> None:
    """No word leaves its box, none is as dark or as light as what it stands on."""
    need_browser()
    with browsing(tmp_path) as shown:
        for page in (site / "en" / "how-it-works.html", site / "zh" / "how-it-works.html"):
            shown.show(page, width, dark=mode == "dark")
            assert shown.run(_OUTSIDE) == []
            assert shown.run(_CONTRAST) >= 4.5
