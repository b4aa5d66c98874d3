"""The scanners' configuration: what a host gets, in production and in a lab."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailfleet.errors import MailfleetError
from mailfleet.host.scanning import EICAR, Capacity
from mailfleet.host.state import HostState
from mailfleet.host.target import Target
from mailfleet.host.uri_lists import checked_key, uri_lists
from roles import desired, filtering
from tests.unit.host.test_scanning import NAME, fleet

pytestmark = pytest.mark.unit

KEY = "k3yofthecustomer1234567890"
LOGINS = {"shop": "$6$a$b", "newsletter": "$6$a$c"}


def target(suite: str = "bookworm", **options: object) -> Target:
    found = fleet(**options)  # type: ignore[arg-type]
    return Target(found, found.host(NAME), suite, LOGINS)


def content(state: HostState, path: str) -> str:
    return next(file.content for file in state.files if file.path == path)


def test_a_host_that_scans_nothing_gets_nothing() -> None:
    unscanned = target(options={"inbound_scan": "none"})
    assert filtering.desired(unscanned) == HostState()
    assert "amavis" not in " ".join(desired(unscanned).packages)
    main = content(desired(unscanned), "/etc/postfix-news/main.cf")
    assert "smtpd_milters = $signer" in main
    assert "daemon_name" not in main


def test_production_fetches_its_signatures_and_a_lab_has_one() -> None:
    state = filtering.desired(target())
    units = [service.unit for service in state.services]
    assert units[:3] == ["clamav-freshclam.service", "clamav-daemon.service", "amavis.service"]
    assert "DatabaseDirectory /var/lib/clamav\n" in content(state, "/etc/clamav/clamd.conf")
    unit = content(state, "/etc/systemd/system/clamav-daemon.service.d/mailfleet.conf")
    assert "if ls /var/lib/clamav/main.c[vl]d /var/lib/clamav/daily.c[vl]d" in unit
    assert "exit 1" in unit
    lab = filtering.desired(target(options={"lab": "lab"}))
    assert "clamav-freshclam.service" not in [service.unit for service in lab.services]
    assert EICAR.encode().hex() in content(lab, "/etc/clamav/lab/eicar.ndb")
    assert EICAR not in "".join(file.content for file in lab.files)


def test_virus_alone_brings_no_spamassassin() -> None:
    state = filtering.desired(target(options={"inbound_scan": "virus"}))
    assert "spamassassin" not in state.packages
    assert not [file for file in state.files if "spamassassin" in file.path]
    assert "@bypass_spam_checks_maps = (1);" in content(state, "/etc/amavis/conf.d/60-mailfleet")


def test_streams_scanned_for_viruses_alone_bring_no_amavis() -> None:
    wanted = target(scan="virus", options={"inbound_scan": "none"})
    state = filtering.desired(wanted)
    assert not [
        name for name in (*state.packages, *(f.path for f in state.files)) if "amavis" in name
    ]
    assert [service.unit for service in state.services][1:] == [
        "clamav-daemon.service",
        "mailfleet-scan-virus-defer.service",
    ]
    milter = content(state, "/etc/clamav/mailfleet-scan-virus-defer.conf")
    assert "OnFail Defer\n" in milter
    # Debian's own clamav-milter, which nobody asks, does not run.
    assert "clamav-milter.service" in state.masked
    # A host may have had amavis before.
    assert "amavisd-milter.service" in state.masked
    main = content(desired(wanted), "/etc/postfix-news/main.cf")
    assert "unix:/run/mailfleet-scan-virus-defer/milter.sock, default_action=tempfail" in main
    assert "milter_macro_daemon_name" not in main


def test_each_way_to_fail_has_its_own_clamav_milter() -> None:
    passing = filtering.desired(target(scan="virus", on_scanner_failure="pass"))
    assert "OnFail Accept\n" in content(passing, "/etc/clamav/mailfleet-scan-virus-pass.conf")
    # Inbound is amavis' still.
    assert {"amavis.service", "mailfleet-scan-virus-pass.service"} < {
        service.unit for service in passing.services
    }


def test_postfix_names_the_banks_and_keeps_the_signer() -> None:
    state = desired(target(scan="full"))
    main = content(state, "/etc/postfix-news/main.cf")
    assert "unix:/run/mailfleet-scan-defer/milter.sock, default_action=tempfail" in main
    assert "milter_macro_daemon_name = OUTBOUND,FULL\n" in main
    # What Postfix itself writes is signed, and not scanned.
    assert "non_smtpd_milters = $signer" in main
    inbound = content(state, "/etc/postfix/main.cf")
    assert "milter_macro_daemon_name = INBOUND,FULL\n" in inbound


def test_inbound_gets_half_of_the_processes() -> None:
    roomy = replace(target(scan="full"), capacity=Capacity(16_000, 4))
    state = filtering.desired(roomy)
    assert "$max_servers = 8;" in content(state, "/etc/amavis/conf.d/60-mailfleet")
    folder = "/etc/systemd/system"
    assert " -m 8 " in content(state, f"{folder}/mailfleet-scan-defer.service")
    assert " -m 4 " in content(state, f"{folder}/mailfleet-scan-inbound.service")


def test_no_mail_is_too_large_to_be_scanned() -> None:
    large = target(scan="virus", limits={"message_bytes": 50_000_000})
    state = filtering.desired(large)
    clamd = content(state, "/etc/clamav/clamd.conf")
    assert "StreamMaxLength 51000000\n" in clamd
    milter = content(state, "/etc/clamav/mailfleet-scan-virus-defer.conf")
    assert "MaxFileSize 51000000\n" in milter
    # What an archive holds may be larger; and what is too large is a finding, not cut off in silence.
    for line in ("MaxFileSize 204000000", "MaxScanSize 204000000", "AlertExceedsMax yes"):
        assert f"{line}\n" in clamd


def test_the_key_is_for_amavis_alone() -> None:
    state = filtering.desired(replace(target(), uri_lists=uri_lists(key=KEY)))
    holders = [file for file in state.files if KEY in file.content]
    assert [(f.path, f.mode, f.owner, f.group) for f in holders] == [
        ("/etc/spamassassin/mailfleet-lists.cf", 0o640, "root", "amavis")
    ]
    assert KEY not in repr(state)
    assert f"dbltest.com.{KEY}.dbl.dq.spamhaus.net" in holders[0].content
    assert "score MAILFLEET_DBL_UNKNOWN 0\n" in content(
        state, "/etc/spamassassin/mailfleet-outbound.prefs"
    )


@pytest.mark.parametrize("text", ["", "Short", "has space in it", "a.b.c.d.e.f.g.h", "UPPER123456"])
def test_what_can_be_no_key_is_not_shown(text: str) -> None:
    with pytest.raises(MailfleetError) as error:
        checked_key(text, "MAILFLEET_SPAMHAUS_DQS")
    assert "MAILFLEET_SPAMHAUS_DQS is no key" in str(error.value)
    assert not text or text not in str(error.value)
