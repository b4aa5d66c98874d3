"""The links of README, CHANGELOG and CONTRIBUTING; those of docs/ are checked by zensical, in script/lint."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown import Markdown

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted(ROOT.glob("*.md"))


def html(page: Path) -> str:
    """With an id at each heading, as GitHub and the site make them."""
    converted: str = Markdown(extensions=["toc", "fenced_code", "tables"]).convert(
        page.read_text("utf-8")
    )
    return converted


def broken(page: Path) -> list[str]:
    """The links of a page within the repository that lead nowhere."""
    wrong = []
    for link in map(unquote, re.findall(r'<a href="([^"]*)"', html(page))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and f'id="{anchor}"' not in html(target)):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# A heading\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md#a-heading) [b](there.md#no) [c](not-there.md) [d](#no) [e](https://x.example)"
    )
    assert broken(page) == ["there.md#no", "not-there.md", "#no"]
