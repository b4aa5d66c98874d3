"""pytest's plugin of the suite: every test runs once for each chosen host, and gets it as `machine`.

A user's own test gets testinfra's connection to it as `host`. `mailfleet verify INVENTORY` runs them. All
hosts are read and looked at side by side, from the start; a test waits only for what it needs of its host.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from testinfra.host import Host as Connection

from mailfleet.deploy.target import target_of
from mailfleet.errors import MailfleetError
from mailfleet.facts.release import Release
from mailfleet.facts.tls import CHAIN, KEY, WEB_CHAIN, issuers
from mailfleet.host import certificates, paths, sandbox
from mailfleet.host.plan.keys import tables
from mailfleet.host.plan.services import ServicesPlan
from mailfleet.host.state import ConfigFile, HostState
from mailfleet.host.target import Target
from mailfleet.model import Address, Fleet, Host
from mailfleet.project import inventory
from mailfleet.project.environment import environment_of
from mailfleet.remote.ssh import SshConnector
from mailfleet.verify import (
    authentication,
    identity,
    inbound,
    kernel,
    ports,
    resolver,
    scanner,
    services,
    web,
)
from mailfleet.verify import dns as verify_dns
from mailfleet.verify import jails as verify_jails
from mailfleet.verify import sandbox as verify_sandbox
from mailfleet.verify.access import connection, shell
from mailfleet.verify.dns import Names, resolver_of
from mailfleet.verify.once import OncePerHost
from mailfleet.verify.ports import Greeting, Look, Port
from mailfleet.verify.reading import Reading, read
from mailfleet.verify.resolver import SilentResolverError
from mailfleet.verify.run import PROGRESS
from mailfleet.verify.selection import chosen
from mailfleet.verify.smtp_session import SYSTEM
from mailfleet.verify.web import Page
from roles import desired, fail2ban, postfix
from roles import web as web_role


@dataclass(frozen=True)
class Expected:
    """What one host shall be."""

    target: Target
    state: HostState
    files: tuple[ConfigFile, ...]
    """Those of `state`, and the signer's tables once every key is published."""
    instances: tuple[str, ...]
    private_keys: tuple[tuple[str, int, str, str], ...]
    """Path, mode, owner and group."""
    jails: Mapping[str, tuple[str, ...]]
    """fail2ban's jails with the log files that each reads."""

    @property
    def confined(self) -> tuple[str, ...]:
        """The units that run in a sandbox."""
        return sandbox.confined(tuple(file.path for file in self.files))

    def content(self, path: str) -> str:
        """The planned text of a file."""
        return next(file.content for file in self.files if file.path == path)


@dataclass(frozen=True)
class WebPages:
    """What the web server of one host answered."""

    challenges: list[Page]
    policies: list[Page]
    groups: list[tuple[Address, str]]
    """Those that port 443 should not offer."""


class Verification:
    """One run over the chosen hosts of a fleet."""

    def __init__(self, path: str, limit: str | None, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self.fleet = inventory.read_for_deploy(path)
        self.hosts = chosen(self.fleet, limit)
        # Before any thread starts: those that run already would stay outside.
        environment_of(self.fleet).enter()
        names = [host.name for host in self.hosts]
        self.connector = SshConnector.of_fleet(self.fleet, keep=True)
        self.names = Names(resolver_of(self.fleet))
        self.expected = OncePerHost(names, self._expected)
        self.readings = OncePerHost(names, self._read)
        self.outside = OncePerHost(names, self._look_from_here)
        self.inside = OncePerHost(names, self._look_from_host)
        self.greetings = OncePerHost(names, self._greet)
        self.recipients = OncePerHost(names, self._ask_inbound)
        self.web = OncePerHost(names, self._ask_web)
        self.scanned = OncePerHost(names, self._scan)
        self.judged = OncePerHost(names, self._ask_judges)
        self.address_problems = OncePerHost(names, self._ask_dns)
        self.told: set[str] = set()
        self._folder = tempfile.TemporaryDirectory()

    def start(self) -> None:
        """Begin to read all hosts and to look at them from everywhere; return at once."""
        for work in (
            self.readings,
            self.outside,
            self.inside,
            self.greetings,
            self.recipients,
            self.web,
            self.scanned,
            self.judged,
            self.address_problems,
        ):
            work.start()

    def close(self) -> None:
        self.connector.close()
        self._folder.cleanup()

    def _expected(self, name: str) -> Expected:
        asked = Release()
        release = asked.process(shell(self.connector, name, asked.command()).splitlines())
        target = target_of(self.fleet, name, release.suite, release.capacity)
        state = desired(target)
        keys = [
            (
                f"{paths.DKIM_KEYS}/{key.domain}/{key.selector}.private",
                0o600,
                "opendkim",
                "opendkim",
            )
            for key in state.keys
        ]
        keys += [(path, 0o640, "root", "root") for path in (CHAIN, WEB_CHAIN)]
        keys += [(KEY, 0o600, "root", "root")]
        instances = (postfix.INBOUND, *(s.instance for s in target.host.sending))
        files = (*state.files, *tables(state.signers, state.keys))
        jails = fail2ban.jails(target)
        return Expected(target, state, files, instances, tuple(keys), jails)

    def _read(self, name: str) -> Reading:
        expected = self.expected[name]
        more = [path for path, *_ in expected.private_keys]
        reading = read(
            lambda command: shell(self.connector, name, command),
            expected.state,
            paths=[*more, *(file.path for file in expected.files)],
            chain=CHAIN,
            key=KEY,
            instances=expected.instances,
            more={
                "jails": verify_jails.command(tuple(expected.jails)),
                "results": authentication.command(name),
                "scores": verify_sandbox.scores_command(expected.confined),
                "processes": verify_sandbox.processes_command(expected.confined),
                "sysctl": kernel.command(expected.content(paths.SYSCTL)),
            },
        )
        self._progress(name)
        return reading

    def _need_resolver(self, name: str) -> None:
        """SilentResolverError where whatever speaks SMTP with the host would run into time-outs."""
        if resolver.is_silent(self.readings[name].texts["resolver"]):
            raise SilentResolverError(name)

    def _ask_dns(self, name: str) -> list[str]:
        return verify_dns.address_problems(self.names, self.fleet.host(name))

    def _look_from_here(self, name: str) -> list[Look]:
        self._need_resolver(name)
        return ports.from_here(self._ports(name), self._trusted(name))

    def _ask_inbound(self, name: str) -> list[Look]:
        self._need_resolver(name)
        return inbound.ask(self.fleet, self.fleet.host(name), self._trusted(name))

    def _ask_web(self, name: str) -> WebPages:
        host = self.fleet.host(name)
        policies = certificates.served_policies(self.fleet, host)
        names = [policy for policy in policies if policy in certificates.names(self.fleet, host)]
        return WebPages(
            web.challenge_pages(
                name, host.all_addresses, web_role.PROBE.removeprefix(web_role.WEBROOT)
            ),
            web.policy_pages(names, host.addresses, self._trusted(name)),
            web.offered_groups(names[0], host.addresses) if names else [],
        )

    def _trusted(self, name: str) -> str:
        """Whom the certificates have to come from; see `smtp_session.context`."""
        if (inbox := environment_of(self.fleet).inbox()) is not None:
            return str(inbox.ca_certificate)
        chains = self.readings[name].tls.chains
        authorities = issuers(chains[0]) if chains else ""
        if certificates.directory(self.fleet) == certificates.PRODUCTION or not authorities:
            return SYSTEM
        # Nobody's roots lead to staging: the host has to serve what its authority gave it.
        path = Path(self._folder.name, f"{name}.pem")
        path.write_text(authorities, encoding="ascii")
        return str(path)

    def _look_from_host(self, name: str) -> list[Look]:
        self._need_resolver(name)
        return ports.from_host(
            self._ports(name), lambda command: shell(self.connector, name, command)
        )

    def _greet(self, name: str) -> list[Greeting]:
        self._need_resolver(name)
        host = self.fleet.host(name)
        return ports.greetings(
            self.fleet, host, lambda command: shell(self.connector, name, command)
        )

    def _scan(self, name: str) -> list[scanner.Answer]:
        self._need_resolver(name)
        host = self.fleet.host(name)
        return scanner.ask(self.fleet, host, lambda command: shell(self.connector, name, command))

    def _ask_judges(self, name: str) -> list[str]:
        host = self.fleet.host(name)
        return identity.ask(self.fleet, host, lambda command: shell(self.connector, name, command))

    def _ports(self, name: str) -> tuple[Port, ...]:
        return ports.ports_of(self.fleet, self.fleet.host(name))


@dataclass(frozen=True)
class Machine:
    """One host under test."""

    name: str
    run: Verification

    @property
    def fleet(self) -> Fleet:
        return self.run.fleet

    @property
    def host(self) -> Host:
        return self.run.fleet.host(self.name)

    @property
    def expected(self) -> Expected:
        return self.run.expected[self.name]

    @property
    def reading(self) -> Reading:
        return self.run.readings[self.name]

    @property
    def services_plan(self) -> ServicesPlan:
        """What a deploy would do to the units."""
        return services.plan_of(self.expected.state, self.reading.services)

    @property
    def from_outside(self) -> list[Look]:
        return self.run.outside[self.name]

    @property
    def recipients(self) -> list[Look]:
        return self.run.recipients[self.name]

    @property
    def web_pages(self) -> WebPages:
        return self.run.web[self.name]

    @property
    def from_inside(self) -> list[Look]:
        return self.run.inside[self.name]

    @property
    def scanned(self) -> list[scanner.Answer]:
        return self.run.scanned[self.name]

    @property
    def judged(self) -> list[str]:
        """What is wrong with the judges' answers."""
        return self.run.judged[self.name]

    def check(self, problems: list[str]) -> None:
        """Fail with all problems, one a line and each with the host's name; pass if there are none."""
        if problems:
            lines = dict.fromkeys(f"{self.name}: {problem}" for problem in problems)
            pytest.fail("\n".join(lines), pytrace=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mailfleet")
    group.addoption("--inventory", default=os.environ.get("MAILFLEET_INVENTORY"), metavar="FILE")
    group.addoption("--limit", default=None, metavar="GROUP", help="a region or a host")


_RUN = pytest.StashKey[Verification]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    config = metafunc.config
    if _RUN not in config.stash:
        path = config.getoption("inventory")
        if not path:
            raise pytest.UsageError("name the fleet: --inventory inventories/NAME")
        try:
            config.stash[_RUN] = Verification(
                path, config.getoption("limit"), config.stash.get(PROGRESS, lambda _: None)
            )
        except MailfleetError as error:
            raise pytest.UsageError(str(error)) from None
    run = config.stash[_RUN]
    # Hosts in the inventory's order, all checks of one after the other.
    machines = [Machine(host.name, run) for host in run.hosts]
    metafunc.parametrize("machine", machines, ids=lambda m: m.name, scope="session")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    if not session.config.option.collectonly and _RUN in session.config.stash:
        session.config.stash[_RUN].start()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _RUN in config.stash:
        config.stash[_RUN].close()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Generator[None, object, object]:
    """An error that is meant for people is the test's message, without a traceback."""
    try:
        return (yield)
    except SilentResolverError as error:
        message, unknown = str(error), True
    except MailfleetError as error:
        message, unknown = str(error), False
    # Out here, so that pytest does not show the one error as the cause of the other.
    if unknown:
        pytest.skip(message)
    pytest.fail(message, pytrace=False)


@pytest.fixture
def host(machine: Machine) -> Connection:
    """testinfra's own fixture, for checks of a user's: the host as root, by the connection of the suite."""
    return connection(machine.run.connector, machine.name)


@pytest.fixture(autouse=True)
def readable(machine: Machine) -> None:
    """A host that cannot be read fails its first check, and the others are left out."""
    try:
        _ = machine.expected
        return
    except MailfleetError as error:
        message = str(error)
    if machine.name in machine.run.told:
        pytest.skip("the host cannot be read")
    machine.run.told.add(machine.name)
    pytest.fail(message, pytrace=False)
