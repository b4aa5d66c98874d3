"""Templates: a missing name is an error, and every template belongs to a file that a role writes."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
import pytest

from mailfleet.host.mailboxes import Mailboxes
from mailfleet.host.resources import TEMPLATES
from mailfleet.host.templates import render

pytestmark = pytest.mark.unit

ROLES = Path(__file__).resolve().parents[3] / "roles"


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="host"):
        render("etc/hosts")


def test_a_missing_template_is_an_error() -> None:
    with pytest.raises(jinja2.TemplateNotFound, match="etc/nowhere"):
        render("etc/nowhere")


def test_text_is_taken_as_it_is() -> None:
    # Configuration files know nothing of HTML's escapes, and end with a line break.
    tables = Mailboxes((), (), (), (('^[^"&]+$', "a&b/"),), ())
    text = render("etc/postfix/mailboxes", mailboxes=tables)
    assert text.splitlines()[-1] == '/^[^"&]+$/ a&b/'
    assert text.endswith("\n")


def test_no_template_is_forgotten() -> None:
    sources = "".join(path.read_text() for path in ROLES.glob("*.py"))
    # The drop-ins of all roles' units.
    sources += (ROLES.parent / "mailfleet/host/sandbox.py").read_text()
    named = set(re.findall(r'"(?:etc/|f?)([^"]*)"', sources))
    texts = "".join(path.read_text() for path in TEMPLATES.rglob("*.j2"))
    named |= set(re.findall(r'include "etc/([^"]*)\.j2"', texts))
    names = {
        str(path.relative_to(TEMPLATES)).removesuffix(".j2") for path in TEMPLATES.rglob("*.j2")
    }
    unused = {n for n in names if n.removeprefix("etc/") not in named and Path(n).name not in named}
    assert unused == set()
