"""The files that a lab host starts with."""

from __future__ import annotations

from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from mailfleet.lab import LabSpec, Machine, receiver
from mailfleet.lab.ca import new_authority, new_ssh_key
from mailfleet.lab.hostfiles import common_files, known_hosts_lines
from mailfleet.lab.mirror import Mirrors
from mailfleet.lab.network import default_routes, mac_of
from mailfleet.lab.spec import Host, hosts_of

pytestmark = pytest.mark.unit

MIRRORS = Mirrors("http://deb.example/debian", "http://deb.example/security")


def host(*addresses: str) -> Host:
    machine = Machine("mta1.eu.shop.test", "trixie", "eu", tuple(map(ip_address, addresses)))
    return hosts_of(LabSpec((machine,), ()))[-1]


def texts(subject: Host) -> dict[str, str]:
    files = common_files(
        subject,
        operator="ssh-ed25519 AAAA",
        host_key=new_ssh_key(),
        machine_id="0" * 32,
        mirrors=MIRRORS,
    )
    return {file.path: file.text for file in files}


def test_a_host_with_both_families_has_both_routes() -> None:
    assert default_routes(host("198.51.100.10", "2001:db8:e0::10")) == [
        "route add default via 198.51.100.1 src 198.51.100.10",
        "-6 route add default via 2001:db8:e0::1 src 2001:db8:e0::10",
    ]


def test_a_hardware_address_is_a_private_one_that_a_reboot_keeps() -> None:
    first, second = (ip_address("198.51.100.10"), ip_address("2001:db8:e0::10"))
    assert mac_of(first) == mac_of(first) == "02:04:c6:33:64:0a"
    assert mac_of(second) == "02:06:00:00:00:10"


def test_a_host_without_ipv4_reaches_everything_by_ipv6() -> None:
    only_v6 = host("2001:db8:e0::10")
    written = texts(only_v6)
    assert "nameserver 2001:db8:c0::54" in written["etc/resolv.conf"]
    assert '"http://[2001:db8:c0::1]:3142"' in written["etc/apt/apt.conf.d/90lab"]
    assert len(default_routes(only_v6)) == 1


def test_secrets_are_readable_by_root_alone() -> None:
    files = common_files(
        host("198.51.100.10"),
        operator="ssh-ed25519 AAAA",
        host_key=new_ssh_key(),
        machine_id="0" * 32,
        mirrors=MIRRORS,
    )
    private = [file for file in files if "PRIVATE KEY" in file.text]
    assert [file.mode for file in private] == [0o600]
    assert "PRIVATE" not in repr(files)


def test_known_hosts_has_every_name_and_address() -> None:
    key = new_ssh_key()
    line = known_hosts_lines([(host("198.51.100.10", "2001:db8:e0::10"), key)])
    assert line == f"mta1.eu.shop.test,198.51.100.10,2001:db8:e0::10 {key.public}\n"


def test_a_certificate_of_the_authority_is_signed_by_it() -> None:
    authority = new_authority("lab")
    issued = x509.load_pem_x509_certificate(
        authority.issue(("a.test", "b.test")).certificate.encode()
    )
    issued.verify_directly_issued_by(authority.certificate)
    names = issued.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.test", "b.test"]


def test_received_mail_is_read_oldest_first(tmp_path: Path) -> None:
    assert list(receiver.messages(tmp_path)) == []
    folder = tmp_path / receiver.MAILBOX / "new"
    folder.mkdir(parents=True)
    for name in ("2.b", "1.a"):
        message = EmailMessage()
        message["Subject"] = name
        (folder / name).write_bytes(bytes(message))
    assert {message["Subject"] for message in receiver.messages(tmp_path)} == {"1.a", "2.b"}
