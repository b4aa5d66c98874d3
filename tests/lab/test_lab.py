"""The lab engine: its life, its isolation, and that what it offers works. Labs of its own names."""

from __future__ import annotations

import functools
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import TypeVar

import pytest

from mailfleet import lab
from mailfleet.lab import addresses, cgroups, mirror, namespaces, requirements
from tests import labs

NAME, OTHER, KILLED = (labs.of_process(f"own{number}") for number in (1, 2, 3))
EU, US = "mta1.eu.shop.test", "mta1.us.shop.test"
SPEC = lab.LabSpec(
    machines=(
        lab.Machine(
            EU, "bookworm", "eu", (ip_address("198.51.100.10"), ip_address("2001:db8:e0::10"))
        ),
        lab.Machine(
            US, "trixie", "us", (ip_address("203.0.113.10"), ip_address("2001:db8:50::10"))
        ),
    ),
    zones=("shop.test",),
)
EMPTY = lab.LabSpec((), ())
T = TypeVar("T")


def _may_run() -> bool:
    try:
        requirements.check_platform()
    except lab.LabError:
        return False
    return True


pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(not _may_run(), reason="needs Linux and root"),
]


def silent(_: str) -> None:
    """A report that nobody reads."""


def remains_of(name: str) -> list[str]:
    """Everything on this machine that belongs to the lab `name`."""
    commands = (["ip", "netns", "list"], ["mount"], ["ps", "-eo", "args"])
    lines = [
        line
        for command in commands
        for line in subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
        if f"mailfleet-{name}." in line or f"/labs/{name}/" in line or f"mailfleet-{name} " in line
    ]
    places = ("/run/mailfleet/labs", "/var/lib/mailfleet/labs", "/run/systemd/nspawn/propagate")
    trees = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd")
    paths = [Path(place) / name for place in places]
    paths += [Path(tree) / "mailfleet" / name for tree in trees]
    paths += Path("/run/systemd/nspawn/propagate").glob(f"mailfleet-{name}.*")
    return lines + [str(path) for path in paths if path.exists()]


def interfaces() -> set[str]:
    """The network cards of the machine itself."""
    listed = subprocess.run(["ip", "-j", "link"], capture_output=True, text=True, check=True)
    return {card["ifname"] for card in json.loads(listed.stdout)}


def on(host: str, command: str, *, stdin: str = "") -> str:
    """The output of a shell command on a host of the lab."""
    return run_on(NAME, host, command, stdin)


def run_on(name: str, host: str, command: str, stdin: str = "") -> str:
    """The same on a host of the lab `name`."""
    done = subprocess.run(
        [*lab.ssh_command(name, host), command], input=stdin, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def inside(work: Callable[[], T]) -> T:
    """Do `work` within the lab's internet."""
    return namespaces.inside(namespaces.internet(NAME), work)


@pytest.fixture(scope="module", autouse=True)
def network_before() -> Iterator[set[str]]:
    """A machine without our labs, before and after."""
    for name in (NAME, OTHER, KILLED):
        lab.down(name, silent)
    before = interfaces()
    yield before
    for name in (NAME, OTHER, KILLED):
        lab.down(name, silent)
        assert remains_of(name) == []
    assert interfaces() == before


@pytest.fixture(scope="module")
def running(network_before: set[str]) -> str:
    lab.up(NAME, SPEC, silent)
    return NAME


# Its life


def test_up_a_second_time_leaves_everything_as_it_is(running: str) -> None:
    boots = [
        on(host, "cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1") for host in (EU, US)
    ]
    said: list[str] = []
    lab.up(running, SPEC, said.append)
    assert said == [f"lab {running} is up already"]
    again = [
        on(host, "cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1") for host in (EU, US)
    ]
    assert again == boots


def test_up_with_another_spec_is_refused(running: str) -> None:
    with pytest.raises(lab.LabError, match=r"(?s)with other hosts or zones.*lab down"):
        lab.up(running, EMPTY, silent)


def test_status_tells_of_every_host(running: str) -> None:
    told = lab.status(running)
    assert told.state == "up"
    assert [machine.name for machine in told.machines] == ["ns", "receiver", EU, US]
    assert all(machine.running and machine.ssh for machine in told.machines)
    assert json.loads(json.dumps(told.to_json()))["machines"][2]["addresses"][0] == "198.51.100.10"


def test_a_host_that_died_is_started_again(running: str) -> None:
    on(US, "echo kept > /root/kept")
    cgroups.kill(f"{running}/{US}")
    assert lab.status(running).state == "partial"
    said: list[str] = []
    lab.up(running, SPEC, said.append)
    assert f"lab {running}: starting {US} again" in said
    assert lab.status(running).state == "up"
    assert on(US, "cat /root/kept") == "kept\n"


def test_a_restarted_host_keeps_its_files_and_nothing_else(running: str) -> None:
    on(EU, "echo kept > /root/kept && echo lost > /run/lost && ip route add blackhole 10.0.0.0/8")
    lab.restart_host(running, "mta1.eu")
    assert on(EU, "cat /root/kept; ls /run/lost 2>&1 || :; ip route list 10.0.0.0/8") == (
        "kept\nls: cannot access '/run/lost': No such file or directory\n"
    )


def test_two_labs_are_up_at_once_and_do_not_meet(running: str) -> None:
    lab.up(OTHER, EMPTY, silent)
    assert lab.status(OTHER).state == lab.status(running).state == "up"
    there = namespaces.inside(namespaces.internet(OTHER), lambda: connects("198.51.100.10", 22))
    assert inside(lambda: connects("198.51.100.10", 22))
    assert not there
    assert lab.files(OTHER).tsig != lab.files(running).tsig
    lab.down(OTHER, silent)
    assert remains_of(OTHER) == []
    assert lab.status(OTHER).state == "down"
    assert lab.status(running).state == "up"


def test_labs_start_from_the_files_of_a_stopped_one(running: str) -> None:
    with pytest.raises(lab.LabError, match=r"(?s)was not stopped.*only a stopped lab"):
        lab.up_like(KILLED, running, silent)
    lab.up(OTHER, EMPTY, silent)
    run_on(OTHER, "ns", "echo kept > /root/kept; chmod 600 /root/kept; rm /etc/debian_version")
    secrets = lab.files(OTHER).tsig
    lab.stop(OTHER, silent)
    assert namespaces.of_lab(OTHER) == ()
    with pytest.raises(lab.LabError, match="is not up"):
        lab.files(OTHER)
    lab.up_like(KILLED, OTHER, silent)
    assert lab.status(KILLED).state == "up"
    assert lab.files(KILLED).tsig == secrets
    found = "cat /root/kept; stat -c %a /root/kept; ls /etc/debian_version 2>/dev/null || :"
    assert run_on(KILLED, "ns", found) == "kept\n600\n"
    run_on(KILLED, "ns", "echo own > /root/kept")
    lab.restart_host(KILLED, "ns")
    assert run_on(KILLED, "ns", "cat /root/kept") == "own\n"
    lab.down(KILLED, silent)
    lab.up_like(KILLED, OTHER, silent)
    assert run_on(KILLED, "ns", found) == "kept\n600\n"
    with pytest.raises(lab.LabError, match=rf"(?s)something of lab {KILLED} is there.*lab down"):
        lab.up_like(KILLED, OTHER, silent)
    for name in (KILLED, OTHER):
        lab.down(name, silent)
        assert remains_of(name) == []


@pytest.mark.parametrize("moment", ["internet", "host"])
def test_what_a_killed_up_left_is_cleared_away(running: str, moment: str) -> None:
    script = f"from mailfleet import lab; lab.up({KILLED!r}, lab.LabSpec((), ()), print)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL) as process:
        reached: Callable[[], bool] = {
            "internet": functools.partial(namespaces.exists, namespaces.internet(KILLED)),
            "host": functools.partial(cgroups.populated, f"{KILLED}/receiver"),
        }[moment]
        deadline = time.monotonic() + 120
        while not reached():
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGKILL)
    assert lab.status(KILLED).state == "partial"
    assert remains_of(KILLED) != []
    with pytest.raises(lab.LabError, match="is not up"):
        lab.files(KILLED)
    if moment == "internet":
        lab.up(KILLED, EMPTY, silent)
        assert lab.status(KILLED).state == "up"
    lab.down(KILLED, silent)
    assert remains_of(KILLED) == []


def test_a_process_that_enters_reaches_the_hosts(running: str) -> None:
    script = f"""
import socket, threading
from mailfleet import lab
lab.enter({running!r}); lab.enter({running!r})
def greet():
    with socket.create_connection(("2001:db8:e0::10", 22), timeout=5) as connection:
        print(connection.recv(8))
thread = threading.Thread(target=greet); thread.start(); thread.join(); greet()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "b'SSH-2.0-'\n" * 2, done.stderr


def test_a_lab_that_is_down_cannot_be_entered() -> None:
    with pytest.raises(lab.LabError, match=r"(?s)lab nowhere is not up.*lab up --name nowhere"):
        lab.enter("nowhere")


# Its isolation


def connects(address: str, port: int, seconds: float = 2) -> bool:
    """Whether a TCP connection can be made from where the caller is."""
    try:
        socket.create_connection((address, port), timeout=seconds).close()
    except OSError:
        return False
    return True


TRY_ALL = """
import json, socket
from concurrent.futures import ThreadPoolExecutor
def reached(target):
    address, port, kind = target
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as s:
        s.settimeout(2)
        try:
            s.connect((address, port))
            if kind == "udp":
                s.send(bytes.fromhex("0001010000010000000000000000020001"))
                s.recv(512)
        except OSError:
            return None
    return target
targets = TARGETS
with ThreadPoolExecutor(len(targets)) as pool:
    print(json.dumps([target for target in pool.map(reached, targets) if target]))
"""


@pytest.mark.parametrize("host", [EU, "receiver", "ns"])
def test_nothing_outside_can_be_reached(running: str, host: str) -> None:
    """Not the machine, be it by an address that it listens on, and not the internet."""
    listed = subprocess.run(["ip", "-j", "address"], capture_output=True, text=True, check=True)
    own = [
        address["local"]
        for card in json.loads(listed.stdout)
        for address in card["addr_info"]
        if address["scope"] == "global"
    ]
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        port = server.getsockname()[1]
        assert all(connects(address, port) for address in own)
        elsewhere = ("198.18.0.1", "203.0.113.80", "10.0.0.1", "2001:db8:ffff::1", "fd00::2")
        targets: list[tuple[str, int, str]] = [(address, port, "tcp") for address in own]
        targets += [(a, p, "tcp") for a in elsewhere for p in (25, 53, 443)]
        targets += [(a, 53, "udp") for a in elsewhere]
        # The test is worth something only if it finds what can be reached.
        known = ["198.51.100.10", 22, "tcp"] if host != EU else ["192.0.2.25", 25, "tcp"]
        listed_targets = json.dumps([*targets, known])
        found = json.loads(on(host, "python3 -", stdin=TRY_ALL.replace("TARGETS", listed_targets)))
    assert found == [known]


def test_no_network_card_of_the_machine_leads_into_the_lab(
    running: str, network_before: set[str]
) -> None:
    assert interfaces() == network_before
    for namespace in namespaces.of_lab(running):
        listed = subprocess.run(
            ["ip", "-n", namespace, "-j", "-d", "link"], capture_output=True, text=True, check=True
        )
        kinds = {
            card.get("linkinfo", {}).get("info_kind", card["link_type"])
            for card in json.loads(listed.stdout)
        }
        assert kinds <= {"loopback", "bridge", "veth"}


def proxied(request: str) -> int:
    """The status that the package proxy answers a request line with."""

    def ask() -> int:
        proxy = (str(addresses.PACKAGES[0]), addresses.PACKAGES_PORT)
        with socket.create_connection(proxy, timeout=10) as connection:
            connection.sendall(
                f"{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
            )
            return int(connection.makefile("rb").readline().split()[1])

    return inside(ask)


def test_the_package_proxy_reaches_the_mirrors_and_nothing_else(running: str) -> None:
    mirrors = mirror.discover()
    url = mirrors.main.replace("https://", "http://")
    host = url.split("/")[2]
    assert proxied(f"GET {url}/dists/bookworm/InRelease") == 200
    for refused in (
        f"GET http://{host}/",
        f"GET {url}/../x",
        f"GET http://{host}:25/debian/x",
        "GET http://192.0.2.25/debian/x",
        "GET http://example.com/",
        "GET /",
    ):
        assert proxied(refused) == 403, refused
    for method in ("CONNECT", "POST", "PUT", "OPTIONS"):
        assert proxied(f"{method} {host}:443") == 501
