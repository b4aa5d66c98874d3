"""The lab's ACME authority: its files, and whom an operator of the lab trusts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mailfleet.lab import acme, addresses
from mailfleet.lab.ca import new_authority
from mailfleet.lab.spec import NAMESERVER_HOST

pytestmark = pytest.mark.unit


def test_pebble_validates_over_the_labs_own_dns_without_waiting() -> None:
    files = {
        file.path: file for file in acme.files(new_authority("lab").issue((addresses.ACME_NAME,)))
    }
    unit = files["etc/systemd/system/lab-acme.service"].text
    assert f"-dnsserver {addresses.RESOLVER[0]}:53" in unit
    assert "Environment=PEBBLE_VA_NOSLEEP=1\n" in unit
    assert "ALWAYS_VALID" not in unit, "validation is real"
    settings = json.loads(files["etc/lab-acme/pebble.json"].text)["pebble"]
    assert (settings["httpPort"], settings["tlsPort"]) == (80, 443)
    assert settings["certificateValidityPeriod"] == 90 * 24 * 3600
    assert "PRIVATE KEY" in files["etc/lab-acme/key.pem"].text
    assert files["etc/lab-acme/key.pem"].mode == 0o600


def test_it_lives_beside_the_name_server() -> None:
    assert set(addresses.ACME) <= set(NAMESERVER_HOST.addresses)
    assert acme.DIRECTORY == "https://acme.core.test/dir"


def test_roots_are_added_and_earlier_ones_stay(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    own, first, second = (new_authority(name).certificate_pem for name in ("lab", "a", "b"))
    bundle.write_text(own)
    for root in (first, first, second, second, first):
        acme.trust(bundle, root)
    assert bundle.read_text() == own + first + second
    assert bundle.stat().st_mode & 0o777 == 0o600
