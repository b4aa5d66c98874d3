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
    assert run.totals == {"success": 0, "error": 0, "no_change": 12}
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
    assert run.totals == {"success": 1, "error": 0, "no_change": 11}
    assert len(run.on(host)) == BUDGET + 1
    assert len(run.on(project.hosts[1])) == BUDGET
    assert "differs: /etc/resolv.conf" in run.stderr
    assert run.stderr.count("differs:") == 1


ORDER = "agent.pyz certificate run"


@pytest.mark.parametrize(
    ("days", "ordered"),
    [(29, False), (1, False), (0, True)],
    ids=["due", "its last day", "ended"],
)
def test_renewing_is_the_timers_work_until_the_certificate_has_ended(
    project: Project, certify: Certify, days: int, ordered: bool
) -> None:
    project.converge(lambda names: certify(names, dt.timedelta(days=days)))
    run = project.pyinfra("-y", "--json")
    assert run.totals["success"] == (2 if ordered else 0)
    assert any(ORDER in command.text for command in run.commands) == ordered
    assert not any("openssl req -x509" in command.text for command in run.commands)


def test_another_name_is_ordered_while_the_present_certificate_serves_on(
    project: Project, certify: Certify
) -> None:
    project.converge(lambda names: certify(names[:-1]))
    run = project.pyinfra("-y", "--json")
    assert run.totals == {"success": 2, "error": 0, "no_change": 10}
    for host in project.hosts:
        (order,) = (c.text for c in run.on(host) if ORDER in c.text)
        # The authority is not asked before every name leads here: that is no failure.
        assert order.endswith("|| [ $? -eq 75 ]")
        assert not any("openssl req -x509" in c.text for c in run.on(host))


def test_another_authority_or_key_type_means_another_order(
    project: Project, certify: Certify
) -> None:
    project.converge(certify)
    text = (project.folder / "inventories/prod").read_text()
    changed = text.replace(
        'domains=["shop.example"]', 'domains=["shop.example"], acme="production"'
    )
    project.write("inventories/prod", changed)
    run = project.pyinfra("-y", "--json")
    assert all(any(ORDER in c.text for c in run.on(host)) for host in project.hosts)


def test_an_order_that_waits_says_what_to_do(project: Project, certify: Certify) -> None:
    project.converge(lambda names: certify(names[:-1]))
    answers = project.answers()
    state = '{"result": "waiting", "reason": "smtp.x.example has no address"}'
    for host in project.hosts:
        answers[host]["cat /var/lib/mailfleet/certificate/state.json"] = [state]
    project.answer(answers)
    run = project.pyinfra("-y")
    assert run.code == 0, run.stderr
    said = (
        "no certificate was ordered yet: smtp.x.example has no address. Push DNS and deploy again"
    )
    assert run.output.count(said) == 2


def test_a_failed_order_is_a_failed_deploy(project: Project, certify: Certify) -> None:
    project.converge(lambda names: certify(names[:-1]))
    answers = project.answers()
    for host in project.hosts:
        answers[host][ORDER] = {"success": False, "stderr": ["https://ca/dir gave no certificate"]}
    project.answer(answers)
    run = project.pyinfra("-y")
    assert run.code == 1
    assert "https://ca/dir gave no certificate" in run.output


def test_another_key_in_the_chain_means_another_certificate(
    project: Project, certify: Certify
) -> None:
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = other.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()

    def mismatched(names: tuple[str, ...]) -> list[str]:
        lines = certify(names)
        start = lines.index("chain|")
        return [*lines[:3], *pem.splitlines(), *lines[start:]]

    project.converge(mismatched)
    run = project.pyinfra("-y", "--json")
    assert run.totals["success"] == 4, "one to start with, then the authority's"


def test_the_made_certificates_are_real(certify: Certify) -> None:
    # Guards the fixture: a certificate that nobody could read would let the tests above pass.
    lines = certify(("a.example", "b.example"))
    pem = "\n".join(lines[lines.index("-----BEGIN CERTIFICATE-----") :])
    found = x509.load_pem_x509_certificate(pem.encode())
    assert isinstance(found.signature_hash_algorithm, hashes.SHA256)
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example", "b.example"]
