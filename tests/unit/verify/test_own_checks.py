"""A user's own checks that cannot be collected end `mailfleet verify` in words, before it connects."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfleet.errors import MailfleetError
from mailfleet.verify.run import run

pytestmark = pytest.mark.unit

INVENTORY = (
    "from mailfleet import inventory as _inventory\n"
    'eu = [("mta1.shop.example", {"streams": {"orders": ["193.0.6.139"]}})]\n'
    '_inventory.declare(globals(), domains=["shop.example"])\n'
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def broken(:\n", "SyntaxError: invalid syntax"),
        ("import nothing_of_this_name\n", "No module named 'nothing_of_this_name'"),
    ],
    ids=["syntax", "import"],
)
def test_a_file_that_cannot_be_collected_is_named(tmp_path: Path, text: str, said: str) -> None:
    for folder in ("inventories", "dns", "checks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "inventories/prod").write_text(INVENTORY)
    (tmp_path / "dns/shop.example.toml").write_text('[streams.orders]\nlogins = ["shop"]\n')
    (tmp_path / "checks/test_own.py").write_text(text)
    with pytest.raises(MailfleetError) as error:
        run(str(tmp_path / "inventories/prod"), None, lambda _: None)
    assert "checks/test_own.py: " in str(error.value)
    assert said in str(error.value)
