"""docs/changes.md and docs/architecture.md name files that exist, and the changes take two hops at most."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
# A path within the repository: it has a slash, and is no option, URL or path of a host.
PATH = re.compile(r"`([a-z.][a-zA-Z0-9_.-]*/[a-zA-Z0-9_./@-]*)`")


def named(page: str) -> set[str]:
    return set(PATH.findall((DOCS / page).read_text("utf-8")))


@pytest.mark.parametrize(
    "page", ["changes.md", "architecture.md", "development.md", "../CONTRIBUTING.md"]
)
def test_every_named_file_exists(page: str) -> None:
    paths = named(page)
    assert paths
    # The table of packages leaves mailfleet/ out.
    folders = (ROOT, ROOT / "mailfleet")
    assert [path for path in paths if not any((root / path).exists() for root in folders)] == []


def sections() -> dict[str, str]:
    """The ten changes, by their headings."""
    parts = re.split(r"^## (.*)$", (DOCS / "changes.md").read_text("utf-8"), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_there_are_ten() -> None:
    assert [title.partition(".")[0] for title in sections()] == [str(n) for n in range(1, 11)]


@pytest.mark.parametrize("title", list(sections())[:9])
def test_a_change_starts_at_a_file(title: str) -> None:
    steps = re.findall(r"^\d\. (`[^`]+`)", sections()[title], re.M)
    assert steps
    assert len(steps) <= 3


@pytest.mark.parametrize(
    "package",
    sorted(p.name for p in (ROOT / "mailfleet").iterdir() if (p / "__init__.py").exists()),
)
def test_the_architecture_names_every_package(package: str) -> None:
    text = (DOCS / "architecture.md").read_text("utf-8")
    assert re.search(rf"`(mailfleet/)?{package}[`/]", text), f"docs/architecture.md lacks {package}"
