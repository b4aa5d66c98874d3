"""The table of releases: the one place that knows them."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import get_args

import pytest

from mailfleet.host.releases import RELEASES, TESTED, release_of
from mailfleet.model.schema import HostTable

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
# The lab's support hosts have a release of their own; the model lists what a lab can boot.
ALLOWED = {"mailfleet/host/releases.py", "mailfleet/lab/spec.py", "mailfleet/model/schema.py"}


def test_no_other_module_names_a_release() -> None:
    naming = {
        str(path.relative_to(ROOT))
        for folder in ("mailfleet", "roles", "deploys", "agent")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in RELEASES
    }
    assert naming <= ALLOWED


def test_a_lab_boots_what_is_tested() -> None:
    assert get_args(HostTable.model_fields["suite"].annotation) == TESTED


@pytest.mark.parametrize(
    ("name", "parent_unit", "ffdhe", "tls_required", "mlkem", "dovecot"),
    [
        ("bookworm", True, False, False, False, False),
        ("trixie", False, True, True, True, True),
        ("noble", True, True, False, False, False),
    ],
)
def test_what_each_release_can(
    name: str, parent_unit: bool, ffdhe: bool, tls_required: bool, mlkem: bool, dovecot: bool
) -> None:
    release = release_of(name)
    assert release.has_postfix_parent_unit == parent_unit
    assert release.has_ffdhe_groups == ffdhe
    assert release.has_tls_required == tls_required
    assert (release.has_mlkem, release.has_ssh_mlkem, release.has_ssh_generator) == (mlkem,) * 3
    assert release.has_dovecot_24_syntax == dovecot


def test_an_unknown_release_is_no_release() -> None:
    with pytest.raises(KeyError):
        release_of("forky")
