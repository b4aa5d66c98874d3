"""A fleet that is as it should be: nothing changes, and finding that out costs few round trips."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from tests.deploy.conftest import Certify, Project

pytestmark = pytest.mark.deploy

# One command each for the release, the packages, the certificate, the DKIM keys, the signing tables,
# all files and all units. The design allows 15; a change that needs an eighth shall be a decision.
BUDGET = 7


def test_nothing_changes_within_the_budget(project: Project, certify: Certify) -> None:
    project.converge(certify)
    run = project.pyinfra("-y", "--json")
    assert run.code == 0, run.stderr
    assert run.totals == {"success": 0, "error": 0, "no_change": 10}
    assert Counter(command.host for command in run.commands) == dict.fromkeys(project.hosts, BUDGET)


def test_a_dry_run_reads_and_plans_nothing(project: Project, certify: Certify) -> None:
    project.converge(certify)
    run = project.pyinfra("--dry", "--json")
    assert run.code == 0, run.stderr
    assert run.plan == {name: [] for name in run.plan}
    assert set(Counter(command.host for command in run.commands).values()) == {BUDGET}


def test_a_confirmed_run_reads_once_more(project: Project, certify: Certify) -> None:
    # pyinfra plans first and asks; the facts of its operations are then read again.
    project.converge(certify)
    run = project.pyinfra(enter=True)
    assert run.code == 0, run.stderr
    assert "Grand total" in run.output
    # All but the release, which the deploy asks for only once.
    counts = Counter(command.host for command in run.commands)
    assert counts == dict.fromkeys(project.hosts, 2 * BUDGET - 1)


def test_one_drifted_file_costs_one_more_command(project: Project, certify: Certify) -> None:
    project.converge(certify)
    host = project.hosts[0]
    answers = project.answers()
    tree = next(key for key in answers[host] if "/etc/resolv.conf" in key)
    answers[host][tree] = [
        line.replace("|644|", "|666|") if line.endswith("/etc/resolv.conf") else line
        for line in answers[host][tree]
    ]
    project.answer(answers)
    run = project.pyinfra("-y", "--json")
    assert run.totals == {"success": 1, "error": 0, "no_change": 9}
    assert len(run.on(host)) == BUDGET + 1
    assert len(run.on(project.hosts[1])) == BUDGET
    assert "differs: /etc/resolv.conf" in run.stderr
    assert run.stderr.count("differs:") == 1


@pytest.mark.parametrize(
    ("days", "renewed"),
    [(31, False), (29, True)],
    ids=["fresh enough", "due"],
)
def test_a_certificate_is_renewed_in_its_last_month(
    project: Project, certify: Certify, days: int, renewed: bool
) -> None:
    project.converge(lambda names: certify(names, dt.timedelta(days=days)))
    run = project.pyinfra("-y", "--json")
    assert run.totals["success"] == (2 if renewed else 0)
    assert any("openssl req -x509" in c.text for c in run.commands) == renewed


def test_another_key_in_the_chain_means_another_certificate(
    project: Project, certify: Certify
) -> None:
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = other.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()

    def mismatched(names: tuple[str, ...]) -> list[str]:
        lines = certify(names)
        start = lines.index("-----BEGIN CERTIFICATE-----")
        return [lines[0], *pem.splitlines(), *lines[start:]]

    project.converge(mismatched)
    run = project.pyinfra("-y", "--json")
    assert run.totals["success"] == 2


def test_the_made_certificates_are_real(certify: Certify) -> None:
    # Guards the fixture: a certificate that nobody could read would let the tests above pass.
    lines = certify(("a.example", "b.example"))
    pem = "\n".join(lines[lines.index("-----BEGIN CERTIFICATE-----") :])
    found = x509.load_pem_x509_certificate(pem.encode())
    assert isinstance(found.signature_hash_algorithm, hashes.SHA256)
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example", "b.example"]
