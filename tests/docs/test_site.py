"""The site builds without a warning, its links lead somewhere, and it fits a phone."""

import subprocess
import sys
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


def _dead_links(page: Path) -> list[str]:
    tree = html.parse(str(page))
    dead: list[str] = []
    for link in tree.xpath("//a/@href"):
        parts = urlsplit(str(link))
        if parts.scheme or parts.netloc:
            continue
        target = (page.parent / parts.path).resolve() if parts.path else page
        there = target.is_file() and (
            not parts.fragment or html.parse(str(target)).xpath("//*[@id=$id]", id=parts.fragment)
        )
        if not there:
            dead.append(str(link))
    return dead


def test_every_link_leads_somewhere(site: Path) -> None:
    """To a page that is there, and to a place in it that is there."""
    pages = [
        page for page in site.glob("[ez][nh]/*.html") if page.stem not in {"search", "genindex"}
    ]
    assert len(pages) >= len(PAGES)
    assert {page.name: dead for page in pages if (dead := _dead_links(page))} == {}


def test_both_languages_have_the_same_pages() -> None:
    """And the same code in them."""
    names = {
        folder: {page.name for page in PAGES if page.parent.name == folder}
        for folder in ("en", "zh")
    }
    assert names["en"] == names["zh"]


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_its_screen(site: Path, width: int, tmp_path: Path) -> None:
    """On a phone and on a desk."""
    need_browser()
    with browsing(tmp_path) as shown:
        for page in sorted(site.glob("[ez][nh]/*.html")):
            shown.show(page, width)
            wide = shown.run("return document.documentElement.scrollWidth")
            assert wide <= width, page.name
