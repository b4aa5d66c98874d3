"""From the tables that a user wrote to a Fleet, or to the list of everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from mailfleet.errors import ConfigurationError, Problem
from mailfleet.model import connection
from mailfleet.model.addresses import Address
from mailfleet.model.checks import cross_check
from mailfleet.model.explain import problems_of
from mailfleet.model.fleet import (
    Domain,
    Fleet,
    Host,
    Region,
    SendingAddress,
    Stream,
)
from mailfleet.model.identity_checks import zones_to_name
from mailfleet.model.names import domain_name
from mailfleet.model.policies import Dmarc
from mailfleet.model.provider import ManualSettings, ProviderSettings
from mailfleet.model.readable import readable_options
from mailfleet.model.schema import (
    DmarcTable,
    DomainTable,
    HostTable,
    InventoryTable,
    StreamTable,
)
from mailfleet.model.types import Scan
from mailfleet.model.values import shown

_FAKE = "@fake/"
"""pyinfra's connector for hosts that nobody connects to, as tests have them."""

_Table = TypeVar("_Table", bound=BaseModel)


@dataclass(frozen=True)
class HostEntry:
    """One host as the inventory has it: region, name and its data."""

    region: str
    name: str
    data: object


def build_fleet(
    source: str,
    hosts: list[HostEntry],
    options: Mapping[str, Any],
    domain_files: Mapping[str, tuple[str, Mapping[str, Any]]],
    problems: list[Problem],
) -> Fleet:
    """The validated fleet.

    `source` is the inventory's path as the user typed it; `domain_files` maps a domain name to the
    path and the parsed content of its file; `problems` are those already found while reading.
    Raises ConfigurationError with `problems` and every further one, all at once.
    """
    problems = list(problems)
    inventory = _parse(InventoryTable, options, source, "", problems)
    inventory = inventory or readable_options(options)
    domains = []
    for name, (path, content) in domain_files.items():
        table = _parse(DomainTable, content, path, "", problems)
        if table is not None:
            domains.append(_domain(name, table))
    built = [h for e in hosts if (h := _host(source, e, inventory, problems)) is not None]
    _check_regions(source, {entry.region for entry in hosts}, inventory, problems)
    if not hosts:
        problems.append(
            Problem(source, "", 'has no hosts; add a region: eu = [("mta1.eu.example.com", {...})]')
        )
    regions = tuple(
        Region(name, tuple(host for host in built if host.region == name))
        for name in dict.fromkeys(entry.region for entry in hosts)
    )
    fleet = Fleet(
        name=inventory.name or source.rsplit("/", 1)[-1],
        source=source,
        regions=regions,
        domains=tuple(domains),
        lab=inventory.lab,
        never_banned=inventory.never_banned,
        acme=inventory.acme,
        acme_contact=inventory.acme_contact,
        inbound_limits=inventory.inbound_limits,
        outbound_tls=inventory.outbound_tls,
    )
    paths = {name: path for name, (path, _) in domain_files.items()}
    silent = [name for name, (_, content) in domain_files.items() if "dns" not in content]
    problems += [Problem(paths[name], "dns", text) for name, text in zones_to_name(fleet, silent)]
    # A name that a broken file could have declared must not be reported as missing as well.
    complete = not problems
    problems += cross_check(fleet, paths, complete=complete)
    if fleet.offers.own_authority and "acme" in inventory.model_fields_set:
        problems.append(Problem(source, "acme", "a lab has an authority of its own; remove acme"))
    if problems:
        raise ConfigurationError(problems)
    return fleet


def _parse(
    table: type[_Table],
    content: Mapping[Any, Any],
    file: str,
    key: str,
    problems: list[Problem],
    beside: Collection[str] = (),
) -> _Table | None:
    try:
        return table.model_validate(dict(content))
    except ValidationError as error:
        problems += problems_of(error, table, file, key, beside)
        return None


def _host(
    source: str, entry: HostEntry, inventory: InventoryTable, problems: list[Problem]
) -> Host | None:
    bare = entry.name.removeprefix(_FAKE)
    key = f"host {bare}"
    if bare.startswith("@"):
        text = "names a connector of pyinfra's; write the host's name alone, it is reached by SSH"
        problems.append(Problem(source, key, text))
        return None
    try:
        name = domain_name(bare)
    except ValueError as error:
        problems.append(Problem(source, key, str(error)))
        return None
    if not isinstance(entry.data, dict):
        text = f'{shown(entry.data)} is not a table; write ("{name}", {{"streams": {{...}}}})'
        problems.append(Problem(source, key, text))
        return None
    own = {k: v for k, v in entry.data.items() if not connection.is_for_pyinfra(k)}
    table = _parse(HostTable, own, source, key, problems, connection.KEYS)
    _check_connection(entry.data, source, key, problems)
    if table is None:
        return None
    sending = _sending(name, table, source, key, problems)
    first = next((s.addresses for s in sending if s.shares is None), ())
    addresses = table.addresses or first
    if not addresses:
        problems.append(Problem(source, key, 'has no address; add addresses = ["203.0.113.10"]'))
    selector = table.selector or "-".join(name.split(".")[:2])
    if len(selector) > 32:
        text = f"the default, {selector}, is longer than 32 characters; set a shorter one"
        problems.append(Problem(source, f"{key}: selector", text))
    return Host(
        name=name,
        region=entry.region,
        ipv4=_ipv4(addresses),
        ipv6=_ipv6(addresses),
        sending=sending,
        selector=selector,
        ssh_port=table.ssh_port,
        inbound=table.inbound,
        suite=table.suite,
        inbound_scan=_inbound_scan(table, inventory),
        reverse_dns=_reverse_dns(entry.region, table, inventory),
        open_ports=tuple(dict.fromkeys((*inventory.open_ports, *table.open_ports))),
    )


def _inbound_scan(table: HostTable, inventory: InventoryTable) -> Scan:
    return (table.inbound_scan or inventory.inbound_scan) if table.inbound else "none"


def _reverse_dns(
    region: str, table: HostTable, inventory: InventoryTable
) -> ProviderSettings | None:
    """Who serves a host's PTR records: what it says itself, else its region, else the fleet."""
    given: ProviderSettings | None = None
    if "reverse_dns" in table.model_fields_set:
        given = table.reverse_dns
    else:
        whole = inventory.reverse_dns
        given = whole.get(region) if isinstance(whole, dict) else whole
    # By hand means that somebody else is asked for the record.
    return None if isinstance(given, ManualSettings) else given


def _check_regions(
    source: str, regions: Collection[str], inventory: InventoryTable, problems: list[Problem]
) -> None:
    if isinstance(inventory.reverse_dns, dict):
        for name in inventory.reverse_dns.keys() - regions:
            text = f"is no region; known are {', '.join(sorted(regions))}"
            problems.append(Problem(source, f"reverse_dns.{name}", text))


def _check_connection(
    data: Mapping[Any, Any], source: str, key: str, problems: list[Problem]
) -> None:
    """Find what is wrong with pyinfra's own keys; their values stay where pyinfra reads them."""
    given = {k: v for k, v in data.items() if connection.is_for_pyinfra(k)}
    for name in sorted(connection.OF_OPERATIONS & given.keys()):
        text = "belongs to single operations of pyinfra, not to a host; remove it"
        problems.append(Problem(source, f"{key}: {name}", text))
        del given[name]
    _parse(connection.ConnectionTable, given, source, key, problems, tuple(HostTable.model_fields))


def _sending(
    host: str, table: HostTable, source: str, key: str, problems: list[Problem]
) -> tuple[SendingAddress, ...]:
    addresses: dict[str, tuple[Address, ...]] = {}
    shares: dict[str, str] = {}
    for stream, value in table.streams.items():
        if isinstance(value, str):
            shares[stream] = value
        else:
            addresses[stream] = value
    for stream, owner in shares.items():
        if owner not in addresses:
            text = (
                f"shares the address of stream {owner!r}, which has none on this host; "
                f"name one of {', '.join(addresses) or 'the streams with addresses'}"
            )
            problems.append(Problem(source, f"{key}: streams.{stream}", text))
    sending = []
    for stream in table.streams:
        group = addresses.get(shares.get(stream, stream), ())
        sending.append(SendingAddress(stream, host, _ipv4(group), _ipv6(group), shares.get(stream)))
    return tuple(sending)


def _domain(name: str, table: DomainTable) -> Domain:
    return Domain(
        name=name,
        zone=(table.dns.zone if table.dns else None) or name,
        dns=table.dns.settings if table.dns else ManualSettings(),
        streams=tuple(_stream(name, key, stream) for key, stream in table.streams.items()),
        dkim=table.dkim,
        dmarc=_dmarc(table.dmarc, parked=not table.sends),
        spf=table.spf,
        mx=table.mx,
        ttl=table.ttl,
        sends=table.sends,
        mta_sts=table.mta_sts,
        tls_reports=table.tls_rpt.reports if table.tls_rpt else (),
        caa=table.caa,
        bimi=table.bimi,
        postmaster=table.postmaster,
        rsa=table.tls.rsa,
    )


def _dmarc(table: DmarcTable, *, parked: bool) -> Dmarc:
    # What nobody sends as needs no time to learn who does.
    default = parked and "policy" not in table.model_fields_set
    policy = "reject" if default else table.policy
    subdomains = table.subdomain_policy or policy
    return Dmarc(
        policy=policy,
        subdomain_policy=subdomains,
        nonexistent_policy=table.nonexistent_policy or subdomains,
        strict_dkim=table.strict_dkim,
        strict_spf=table.strict_spf,
        reports=table.reports,
        testing=table.testing,
        subdomains=table.subdomains,
    )


def _stream(domain: str, name: str, table: StreamTable) -> Stream:
    from_domain = table.from_domain or domain
    return Stream(
        name=name,
        domain=domain,
        from_domain=from_domain,
        return_path=table.return_path or f"bounce.{from_domain}",
        tls_port=table.tls_port,
        starttls_port=table.starttls_port,
        logins=table.logins,
        limits=table.limits,
        retry=table.retry,
        scan=table.scan,
        on_scanner_failure=table.on_scanner_failure,
        client_trace=table.client_trace,
    )


def _ipv4(addresses: tuple[Address, ...]) -> IPv4Address | None:
    return next((a for a in addresses if isinstance(a, IPv4Address)), None)


def _ipv6(addresses: tuple[Address, ...]) -> IPv6Address | None:
    return next((a for a in addresses if isinstance(a, IPv6Address)), None)
