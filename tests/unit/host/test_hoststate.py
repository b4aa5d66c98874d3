"""Joining what the roles want: nothing is lost, and contradictions are refused."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from mailfleet.host.state import (
    Action,
    Check,
    ConfigFile,
    Directory,
    HostState,
    Listener,
    Service,
    merge,
)

pytestmark = pytest.mark.unit


def test_merge_keeps_order_and_drops_what_is_said_twice() -> None:
    folder = Directory("/etc/a", 0o750)
    one = HostState(
        packages=("postfix", "openssl"),
        directories=(folder,),
        files=(ConfigFile("/etc/b", "1\n", affects=("b.service",)),),
        checks=(Check("b", "true"),),
        services=(Service("b.service"),),
        masked=("c.timer",),
        listeners=(Listener("b", "tcp", 1),),
    )
    two = HostState(
        packages=("openssl",),
        directories=(folder, Directory("/etc/c")),
        files=(ConfigFile("/etc/a", "2\n", affects=("a", "b.service")),),
        checks=(Check("a", "false"),),
        actions=(Action("a", "true"),),
        services=(Service("a.service"),),
        masked=("d.socket",),
        as_packaged=("e@.service",),
        listeners=(Listener("a", "udp", 2),),
    )
    state = merge([one, two])
    assert state.packages == ("openssl", "postfix")
    assert state.directories == (folder, Directory("/etc/c"))
    assert [file.path for file in state.files] == ["/etc/b", "/etc/a"]
    assert [check.name for check in state.checks] == ["b", "a"]
    assert [action.name for action in state.actions] == ["a"]
    assert [service.unit for service in state.services] == ["b.service", "a.service"]
    assert state.masked == ("c.timer", "d.socket")
    assert state.as_packaged == ("e@.service",)
    assert state.units == ("b.service", "a.service", "c.timer", "d.socket")
    assert [listener.port for listener in state.listeners] == [1, 2]
    assert merge([]) == HostState()


def test_a_file_has_one_owner() -> None:
    one = HostState(files=(ConfigFile("/etc/b", "1\n"), ConfigFile("/etc/a", "1\n")))
    two = HostState(files=(ConfigFile("/etc/a", "1\n"), ConfigFile("/etc/b", "1\n")))
    with pytest.raises(ValueError, match=r"^several roles write /etc/a, /etc/b$"):
        merge([one, two])


def test_a_unit_is_decided_about_once() -> None:
    states = [
        HostState(services=(Service("a.service"),), masked=("b.timer",)),
        HostState(masked=("a.service",), as_packaged=("b.timer",)),
    ]
    with pytest.raises(
        ValueError, match=r"^several roles decide about the unit a\.service, b\.timer$"
    ):
        merge(states)


def test_a_file_affects_only_what_exists() -> None:
    state = HostState(
        files=(ConfigFile("/etc/a", "", affects=("x.service", "reload", "a.service")),),
        services=(Service("a.service"),),
    )
    with pytest.raises(ValueError, match=r"^files affect reload, x\.service, which no role decl"):
        merge([state])


def test_a_files_content_is_not_printed() -> None:
    assert "hunter2" not in repr(HostState(files=(ConfigFile("/etc/a", "hunter2"),)))


@pytest.mark.parametrize(
    ("addresses", "public"),
    [
        ((), True),
        (("127.0.0.1", "::1"), False),
        (("127.0.0.2",), False),
        (("127.0.0.1", "192.0.2.1"), True),
        (("2001:db8::1",), True),
    ],
)
def test_which_sockets_others_reach(addresses: tuple[str, ...], public: bool) -> None:
    assert Listener("x", "tcp", 1, tuple(map(ip_address, addresses))).public == public
