"""Probes: which are sent, and how a receiver's verdict is read."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from mailfleet.project import inventory
from mailfleet.verify.probe import Probe, Verdict, probes

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
PROBE = Probe("mta1.eu.shop.test", "orders", 4, ip_address("198.51.100.11"))


@pytest.mark.parametrize(
    ("results", "passed"),
    [
        ("mx.test; spf=pass; dkim=pass; dmarc=pass", "spf dkim dmarc"),
        (
            "mx.test; spf=pass smtp.mailfrom=bounce.shop.test; "
            "dkim=pass header.d=shop.test header.s=mta1-eu; dmarc=pass header.from=shop.test",
            "spf dkim dmarc",
        ),
        ("mx.test;spf=pass;dkim=pass;dmarc=pass", "spf dkim dmarc"),
        ("mx.test; spf=softfail; dkim=pass; dmarc=pass", "dkim dmarc"),
        ("mx.test; dkim=none; spf=pass", "spf"),
        ("mx.test; x-spf=pass; arc.dkim=pass; dmarc=pass", "dmarc"),
        ("mx.test; none", ""),
        ("", ""),
    ],
)
def test_what_has_passed(results: str, passed: str) -> None:
    verdict = Verdict(PROBE, results)
    good = {method for method, result in verdict.passed.items() if result == "pass"}
    assert good == set(passed.split())
    assert verdict.good == (passed == "spf dkim dmarc")
    document = verdict.to_json()
    assert document["ok"] == verdict.good
    assert document["authentication_results"] == (results or None)
    assert (document["host"], document["ip_version"]) == ("mta1.eu.shop.test", 4)


def test_a_probe_that_did_not_arrive() -> None:
    verdict = Verdict(PROBE, problem="198.51.100.11 port 465: timed out")
    assert not verdict.good
    assert verdict.text == "198.51.100.11 port 465: timed out"
    document = verdict.to_json()
    assert (document["ok"], document["spf"]) == (False, None)
    assert document["problem"] == verdict.text
    assert document["authentication_results"] is None


def test_a_problem_outweighs_results() -> None:
    assert not Verdict(PROBE, "mx; spf=pass; dkim=pass; dmarc=pass", "late").good


@pytest.mark.parametrize(
    ("limit", "hosts", "count"),
    [
        (None, {"mta1.eu.shop.test", "mta1.us.shop.test"}, 8),
        ("eu", {"mta1.eu.shop.test"}, 4),
        ("mta1.us.shop.test", {"mta1.us.shop.test"}, 4),
        ("asia", set(), 0),
        ("", set(), 0),
    ],
)
def test_which_probes_are_sent(
    limit: str | None, hosts: set[str], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    found = probes(inventory.read("inventories/lab"), limit)
    assert len(set(found)) == len(found) == count
    assert {probe.host for probe in found} == hosts
    assert all(probe.address.version == probe.version for probe in found)
