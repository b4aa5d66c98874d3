"""What stands beside the library: one module finds it, and the names `roles` and `agent` are ours."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mailfleet.host import resources

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]


def test_a_checkout_is_its_own_place() -> None:
    assert resources.ROOT == ROOT
    for folder in (resources.TEMPLATES, resources.AGENT, resources.DEPLOYS):
        assert folder.is_dir()
    # Without __init__.py a folder of a user could be joined to ours.
    for package in resources.PACKAGES:
        assert (ROOT / package / "__init__.py").is_file()


def test_no_other_module_looks_for_the_place() -> None:
    outside = re.compile(r"__file__\)(\.resolve\(\))?\.parents?\b")
    wrong = [
        str(path.relative_to(ROOT))
        for folder in ("mailfleet", "roles", "deploys")
        for path in (ROOT / folder).rglob("*.py")
        if outside.search(path.read_text(encoding="utf-8"))
    ]
    # A sub-process is told where to import mailfleet from; the suite's folder is inside its package.
    assert set(wrong) <= {
        "mailfleet/host/resources.py",
        "mailfleet/lab/assembly.py",
        "mailfleet/verify/run.py",
    }


def test_folders_of_a_user_do_not_take_the_place_of_ours(tmp_path: Path) -> None:
    for package in resources.PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise SystemExit('the wrong one')\n")
    program = "import mailfleet, roles, agent; print(roles.__file__, agent.__file__, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == [f"{ROOT}/roles/__init__.py", f"{ROOT}/agent/__init__.py"]
