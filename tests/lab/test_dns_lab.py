"""`mailfleet dns plan|push|check` against the lab's Knot, judged by programs that others wrote."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from mailfleet import lab
from mailfleet.dns.records.spf import senders
from tests.lab.conftest import INVENTORY, ROOT, DeployedLab

pytestmark = pytest.mark.lab

STRANGERS = ("192.0.2.99", "2001:db8:c0::99")
JUDGES = ROOT / "tests/lab/judges.py"
Known = Mapping[str, tuple[str, ...]]
"""Complaints of checkdmarc by the part that it complains of."""
# checkdmarc fetches with this machine's own resolver, which knows no name of the lab: it finds the
# records, but neither policy nor logo. The lab's domain file asks for no logo.
NOT_ASKED_FOR: Known = {
    "mta_sts": ("/.well-known/mta-sts.txt",),
    "bimi": ("A BIMI record does not exist",),
}
NOT_SERVED: Known = {
    "mta_sts": ("/.well-known/mta-sts.txt",),
    "bimi": ("Failed to download BIMI image", "without a valid mark certificate"),
}
# Nobody can send it mail by TLS or otherwise, and it says so, of which checkdmarc warns. Its logo
# would be that of the domain above it.
PARKED: Known = {
    "mx": ("has a null MX record (RFC 7505)",),
    "mta_sts": ("An MTA-STS DNS record does not exist",),
    "smtp_tls_reporting": ("An SMTP TLS Reporting record does not exist",),
    "bimi": NOT_SERVED["bimi"],
}


def judged(deployed: DeployedLab, **asked: Any) -> dict[str, Any]:
    """The verdicts of checkdmarc, pyspf and dkimpy; see tests/lab/judges.py."""
    question = {"lab": deployed.name, "domains": [], "parked": [], "spf": [], "mail": [], **asked}
    done = subprocess.run(
        [sys.executable, str(JUDGES)],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**deployed.environment, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def assert_complaints(result: dict[str, Any], known: Known) -> None:
    """checkdmarc complains of what is known, and of nothing else."""
    found = {part: texts for part, content in result.items() if (texts := [*complaints(content)])}
    assert {part: len(texts) for part, texts in found.items()} == {
        part: len(texts) for part, texts in known.items()
    }, found
    for part, excerpts in known.items():
        for excerpt in excerpts:
            assert any(excerpt in text for text in found[part]), found


def complaints(content: object) -> Iterator[str]:
    """Every error and warning in a part of what checkdmarc says, at any depth."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key == "error" and value:
                yield str(value)
            elif key in {"warnings", "validation_errors"}:
                yield from value
            else:
                yield from complaints(value)
    elif isinstance(content, list):
        for value in content:
            yield from complaints(value)


def names(deployed: DeployedLab) -> list[str]:
    helo = [s.helo for host in deployed.fleet.hosts for s in host.sending]
    return [*senders(deployed.fleet), *helo]


def test_a_second_push_changes_nothing(deployed_lab: DeployedLab) -> None:
    first = deployed_lab.mailfleet("dns", "push", INVENTORY)
    assert first.returncode == 0, first.stderr
    done = deployed_lab.mailfleet("dns", "push", INVENTORY, "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert {zone["state"] for zone in document["outcome"]} == {"unchanged"}
    planned = deployed_lab.mailfleet("dns", "plan", INVENTORY, "--expect-no-changes", "--json")
    assert planned.returncode == 0, planned.stdout
    assert json.loads(planned.stdout)["pending"] is False


def test_name_servers_tell_what_a_zone_kept_by_hand_lacks(
    deployed_lab: DeployedLab, tmp_path: Path
) -> None:
    for folder in ("inventories", "dns"):
        (tmp_path / folder).mkdir()
    (tmp_path / "inventories/lab").write_text((ROOT / INVENTORY).read_text())
    served = (ROOT / "dns/shop.test.toml").read_text()
    first, table, rest = served.partition("[dns]\n")
    _, following, rest = rest.partition("[dkim]")
    by_hand = f'{first}{table}provider = "manual"\n\n{following}{rest}'

    def planned(text: str) -> tuple[int, dict[str, Any]]:
        (tmp_path / "dns/shop.test.toml").write_text(text)
        path = str(tmp_path / "inventories/lab")
        done = deployed_lab.mailfleet("dns", "plan", path, "--expect-no-changes", "--json")
        document: dict[str, Any] = json.loads(done.stdout)
        return done.returncode, document["zones"][0]

    code, zone = planned(by_hand)
    assert (code, zone["by_hand"], zone["unknown"], zone["zone_file"]) == (0, True, "", [])
    code, zone = planned(by_hand.replace('policy = "reject"', 'policy = "none"'))
    assert code == 3
    entered = [line for line in zone["zone_file"] if line.startswith("+ ")]
    assert {line.split()[1] for line in entered} == {"_dmarc.shop.test.", "_dmarc.news.shop.test."}
    assert len(zone["zone_file"]) == 2 * len(entered)


def test_check_finds_nothing_wrong(deployed_lab: DeployedLab) -> None:
    servers = [str(address) for address in lab.files(deployed_lab.name).resolvers]
    options = [word for address in servers for word in ("--resolver", address)]
    done = deployed_lab.mailfleet("dns", "check", INVENTORY, "--json", *options)
    document = json.loads(done.stdout)
    assert document["findings"] == []
    assert document["checked"] > 150
    assert document["dnssec"] == {"shop.test": "secure"}
    assert document["notes"] == []
    assert done.returncode == 0


def test_postfix_finds_the_keys_of_the_certificates_in_dns(deployed_lab: DeployedLab) -> None:
    for sender, receiver in (
        (deployed_lab.eu, deployed_lab.us),
        (deployed_lab.us, deployed_lab.eu),
    ):
        command = f"posttls-finger -c -l dane-only '[{receiver}]' 2>&1"
        assert "Verified TLS connection established" in deployed_lab.on(sender, command)


def test_checkdmarc_finds_no_fault(deployed_lab: DeployedLab) -> None:
    domains = [*deployed_lab.fleet.from_domains]
    answer = judged(deployed_lab, domains=domains)
    results = {result["domain"]: result for result in answer["checkdmarc"]}
    assert set(results) == set(domains)
    for name, result in results.items():
        assert_complaints(result, NOT_ASKED_FOR)
        assert result["dnssec"] is True, name
        assert result["dmarc"]["valid"] is True, name
        assert result["smtp_tls_reporting"]["valid"] is True, name


def test_pyspf_agrees(deployed_lab: DeployedLab) -> None:
    cases, expected = [], []
    for name, addresses in senders(deployed_lab.fleet).items():
        cases += [(str(address), name) for address in addresses]
        expected += ["pass"] * len(addresses)
        cases += [(address, name) for address in STRANGERS]
        expected += ["fail"] * len(STRANGERS)
    for host in deployed_lab.fleet.hosts:
        for sending in host.sending:
            cases += [(str(address), sending.helo) for address in sending.addresses]
            expected += ["pass"] * len(sending.addresses)
    assert judged(deployed_lab, spf=cases)["spf"] == expected


def test_dkimpy_agrees(deployed_lab: DeployedLab) -> None:
    done = deployed_lab.mailfleet("probe", INVENTORY)
    assert done.returncode == 0, done.stdout
    folder = lab.files(deployed_lab.name).mailboxes / "new"
    recent = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)[-8:]
    assert judged(deployed_lab, mail=[str(path) for path in recent])["dkim"] == [True] * 8


@pytest.fixture
def rich(deployed_lab: DeployedLab, tmp_path: Path) -> Iterator[Path]:
    """The lab's inventory with a domain file that asks for everything, and a parked domain."""
    (tmp_path / "inventories").mkdir()
    (tmp_path / "dns").mkdir()
    text = (ROOT / INVENTORY).read_text().replace('["shop.test"]', '["shop.test", "old.shop.test"]')
    inventory = tmp_path / "inventories/lab"
    inventory.write_text(text)
    shop = (ROOT / "dns/shop.test.toml").read_text()
    shop = shop.replace("[dkim]", '[dkim]\nrevoked = ["mta1-eu-2026q3"]')
    shop = shop.replace("[dmarc]", '[dmarc]\nsubdomains = { "news.shop.test" = "quarantine" }')
    shop += """
[caa]
issuers = ["ca.core.test"]

[bimi]
logo = "https://shop.test/logo.svg"
"""
    (tmp_path / "dns/shop.test.toml").write_text(shop)
    dns = tomllib.loads(shop)["dns"]
    parked = 'sends = false\nttl = 5\n[dns]\nzone = "shop.test"\n'
    parked += "".join(f"{key} = {json.dumps(value)}\n" for key, value in dns.items())
    parked += '[dmarc]\nreports = ["dmarc@shop.test"]\n'
    (tmp_path / "dns/old.shop.test.toml").write_text(parked)
    yield inventory
    back = deployed_lab.mailfleet("dns", "push", INVENTORY, "--force")
    assert back.returncode == 0, back.stderr


def test_everything_that_a_domain_file_can_ask_for(deployed_lab: DeployedLab, rich: Path) -> None:
    done = deployed_lab.mailfleet("dns", "push", str(rich))
    assert done.returncode == 0, done.stdout + done.stderr
    done = deployed_lab.mailfleet("dns", "check", str(rich), "--json")
    assert json.loads(done.stdout)["findings"] == []
    answer = judged(deployed_lab, domains=["shop.test", "news.shop.test"], parked=["old.shop.test"])
    results = {result["domain"]: result for result in answer["checkdmarc"]}
    for name in ("shop.test", "news.shop.test"):
        assert_complaints(results[name], NOT_SERVED)
    assert_complaints(results["old.shop.test"], PARKED)
    assert results["old.shop.test"]["dmarc"]["tags"]["p"]["value"] == "reject"
    [refused] = judged(deployed_lab, spf=[("198.51.100.11", "old.shop.test")])["spf"]
    assert refused == "fail"
    again = deployed_lab.mailfleet("dns", "plan", str(rich), "--expect-no-changes")
    assert again.returncode == 0, again.stdout


def test_what_somebody_else_changed_is_found_and_repaired(deployed_lab: DeployedLab) -> None:
    key = "mta1-eu-2026q4._domainkey.shop.test"
    update = f"""
import dns.query, dns.tsig, dns.update
from mailfleet.lab import enter, files
enter({deployed_lab.name!r})
lab = files({deployed_lab.name!r})
key = dns.tsig.Key(lab.tsig.name, lab.tsig.secret, lab.tsig.algorithm)
change = dns.update.UpdateMessage("shop.test", keyring=key)
change.replace("{key}.", 5, "TXT", '"v=DKIM1; p=QQ=="')
change.delete("bounce.shop.test.", "MX")
change.add("shop.test.", 5, "TXT", '"foreign=1"')
assert dns.query.tcp(change, str(lab.nameserver[0])).rcode() == 0
"""
    subprocess.run(
        [sys.executable, "-c", update], check=True, env=deployed_lab.environment, cwd=ROOT
    )
    done = deployed_lab.mailfleet("dns", "check", INVENTORY, "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)["findings"]
    assert {finding["subject"] for finding in found} >= {key, "bounce.shop.test"}
    assert all(finding["remedy"] for finding in found)
    # What stands in the place of our key may be somebody's: it is not overwritten unasked.
    stopped = deployed_lab.mailfleet("dns", "push", INVENTORY)
    assert stopped.returncode == 1
    assert "stands where ours was" in stopped.stdout + stopped.stderr
    adopt = f"{key}/TXT"
    planned = deployed_lab.mailfleet(
        "dns", "plan", INVENTORY, "--expect-no-changes", "--adopt", adopt
    )
    assert planned.returncode == 3
    pushed = deployed_lab.mailfleet("dns", "push", INVENTORY, "--adopt", adopt)
    assert pushed.returncode == 0, pushed.stderr
    assert deployed_lab.mailfleet("dns", "check", INVENTORY).returncode == 0
    planned = deployed_lab.mailfleet("dns", "plan", INVENTORY, "--json")
    assert "foreign=1" not in planned.stdout
    assert json.loads(planned.stdout)["pending"] is False


def test_the_strangers_are_no_hosts_of_the_lab(deployed_lab: DeployedLab) -> None:
    ours = {address for host in deployed_lab.fleet.hosts for address in host.all_addresses}
    assert not ours & set(map(ip_address, STRANGERS))
