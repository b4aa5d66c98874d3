"""The host `ns`: the lab's authoritative name server (Knot) and its validating resolver (Unbound).

Both run on one host, each on addresses of its own, so that either looks to the fleet like a server
on the internet.
"""

from __future__ import annotations

from collections.abc import Mapping

from mailfleet.lab import addresses, zones
from mailfleet.lab.hostfiles import HostFile, service
from mailfleet.lab.zones import ROOT, ZoneKey

TSIG_NAME = "mailfleet"
TSIG_ALGORITHM = "hmac-sha256"
_FOLDER = "var/lib/lab-dns"
_CONFIGURATION = "etc/lab-dns/knot.conf"
_KEY_ARGUMENTS = "algorithm=13 ksk=yes zsk=yes created=+0 publish=+0 ready=+0 active=+0"


def files(
    keys: Mapping[str, ZoneKey], texts: Mapping[str, str], tsig_secret: str
) -> tuple[HostFile, ...]:
    """Everything that turns the image `nameserver` into the lab's name server."""
    return (
        HostFile(_CONFIGURATION, knot_configuration(tuple(keys), tsig_secret), 0o600),
        HostFile("etc/lab-dns/import-keys", import_script(tuple(keys)), 0o755),
        *(HostFile(f"etc/lab-dns/{_stem(z)}.pem", key.private, 0o600) for z, key in keys.items()),
        *(HostFile(f"{_FOLDER}/{_stem(z)}.zone", text) for z, text in texts.items()),
        HostFile("etc/lab-dns/root.hints", zones.root_hints()),
        HostFile("etc/lab-dns/root.key", zones.trust_anchor(keys[ROOT])),
        HostFile("etc/lab-dns/unbound.conf", unbound_configuration()),
        *service(
            "lab-authority",
            "Authoritative name server of the lab",
            f"/usr/sbin/knotd -c /{_CONFIGURATION}",
            before_start=("/etc/lab-dns/import-keys",),
            kind="notify",
        ),
        *service(
            "lab-resolver",
            "Resolver of the lab",
            "/usr/sbin/unbound -d -p -c /etc/lab-dns/unbound.conf",
            # A root that does not answer at first is then left alone for up to a minute.
            after="lab-authority",
        ),
    )


def knot_configuration(served: tuple[str, ...], tsig_secret: str) -> str:
    """Knot's configuration: all zones signed, and open to updates and transfers with the key."""
    listen = ", ".join(f"{address}@53" for address in addresses.NAMESERVER)
    entries = "".join(
        f"  - domain: {zone}{'' if zone == ROOT else '.'}\n    file: {_stem(zone)}.zone\n"
        for zone in served
    )
    return f"""\
server:
  listen: [{listen}]
  rundir: /run/lab-dns
  user: root:root
  udp-workers: 1
  tcp-workers: 2
  background-workers: 1
log:
  - target: stderr
    any: info
database:
  storage: /{_FOLDER}
key:
  - id: {TSIG_NAME}
    algorithm: {TSIG_ALGORITHM}
    secret: {tsig_secret}
acl:
  - id: operator
    key: {TSIG_NAME}
    action: [transfer, update]
policy:
  - id: lab
    algorithm: ecdsap256sha256
    single-type-signing: on
    dnskey-ttl: {zones.TTL}
    zone-max-ttl: 86400
template:
  - id: default
    storage: /{_FOLDER}
    acl: operator
    dnssec-signing: on
    dnssec-policy: lab
zone:
{entries}"""


def import_script(served: tuple[str, ...]) -> str:
    """A script that hands the zones' keys to Knot; to run it again does nothing."""
    lines = [
        "#!/bin/sh -e",
        "mkdir -p /run/lab-dns",
        f"[ ! -e /{_FOLDER}/imported ] || exit 0",
        *(
            f"keymgr -c /{_CONFIGURATION} {zone}{'' if zone == ROOT else '.'}"
            f" import-pem /etc/lab-dns/{_stem(zone)}.pem {_KEY_ARGUMENTS}"
            for zone in served
        ),
        f"touch /{_FOLDER}/imported",
    ]
    return "".join(f"{line}\n" for line in lines)


def unbound_configuration() -> str:
    """Unbound's configuration: it trusts the lab's root and keeps nothing beyond a second."""
    interfaces = "".join(f"  interface: {address}\n" for address in addresses.RESOLVER)
    # Unbound answers names of tests and documentation itself unless told not to.
    reverse = (zone for zone in addresses.REVERSE_ZONES if zone.endswith("in-addr.arpa"))
    served = "".join(
        f'  local-zone: "{zone}." nodefault\n'
        for zone in ("test", "8.b.d.0.1.0.0.2.ip6.arpa", *reverse)
    )
    return f"""\
server:
{interfaces}\
  access-control: 0.0.0.0/0 allow
  access-control: ::/0 allow
  username: ""
  chroot: ""
  directory: "/etc/lab-dns"
  use-syslog: no
  do-daemonize: no
  module-config: "validator iterator"
  root-hints: "/etc/lab-dns/root.hints"
  trust-anchor-file: "/etc/lab-dns/root.key"
  num-threads: 1
  cache-max-ttl: 1
  cache-max-negative-ttl: 1
  val-bogus-ttl: 1
  infra-host-ttl: 5
{served}\
remote-control:
  control-enable: no
"""


def _stem(zone: str) -> str:
    return "root" if zone == ROOT else zone
