"""A host's key and its certificate: the key is born on the host and never leaves it.

Before the services start each host has a certificate, if only one that it has signed itself; once
the services of all hosts run, and a challenge can be answered, the authority's one is ordered.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator
from dataclasses import dataclass

from pyinfra import host, logger
from pyinfra.api import QuoteString, StringCommand, operation

from mailfleet.facts.tls import CHAIN, KEY, WEB_CHAIN, OrderState, Tls
from mailfleet.host import agent
from mailfleet.host.paths import STATE
from mailfleet.host.plan.certificate import plan_certificate
from mailfleet.host.state import WantedCertificate

# What certbot holds is better than what the host could sign. All units that read the chain are marked
# first, and it changes by a rename: a host that loses its power in between is told by the next run.
_SELF_SIGN = f"""\
set -eu
umask 077
folder={CHAIN.rpartition("/")[0]} state={STATE}
mkdir -p "$folder" "$state/pending"
[ -s {KEY} ] || {{ openssl ecparam -genkey -name prime256v1 -noout -out {KEY}.new; mv {KEY}.new {KEY}; }}
chown root:root {KEY}
chmod 600 {KEY}
if {agent.COMMAND} certificate install 2>/dev/null; then exit 0; fi
subject=$1
shift
openssl req -x509 -new -subj / -days 825 -key {KEY} -addext "$subject" > "$folder/own.new"
cat {KEY} "$folder/own.new" > {CHAIN}.new
rm "$folder/own.new"
cp {CHAIN}.new {WEB_CHAIN}.new
chmod 640 {CHAIN}.new {WEB_CHAIN}.new
for unit in "$@"; do : > "$state/pending/$unit"; done
mv {WEB_CHAIN}.new {WEB_CHAIN}
mv {CHAIN}.new {CHAIN}
"""


@dataclass
class OrderNeeded:
    """Whether a host needs an order: known before its services start, acted on afterwards."""

    order: bool = False


@operation()
def self_signed(
    wanted: WantedCertificate, affects: tuple[str, ...], need: OrderNeeded
) -> Generator[StringCommand, None, None]:
    """Let there be a key and a certificate that services can start with; `need` tells if it will do.

    A certificate that the host signs itself is enough for opportunistic TLS (RFC 7435). `affects` are
    the units that read it.
    """
    plan = plan_certificate(
        wanted, host.get_fact(Tls, chain=CHAIN, key=KEY), dt.datetime.now(dt.UTC)
    )
    need.order = bool(plan.order)
    if not plan.replace:
        host.noop("there is a certificate")
        return
    subject = QuoteString(f"subjectAltName={','.join(f'DNS:{name}' for name in wanted.names)}")
    yield StringCommand(
        "sh", "-c", QuoteString(_SELF_SIGN), "certificate", subject, *map(QuoteString, affects)
    )


@operation()
def order(need: OrderNeeded) -> Generator[StringCommand, None, None]:
    """Have the agent order the certificate where `need` says so.

    Names that do not lead here yet are no failure: DNS is published after the first deploy.
    """
    if not need.order:
        host.noop("the certificate is good")
        return
    yield StringCommand(f"{agent.COMMAND} certificate run || [ $? -eq 75 ]")
    outcome = host.get_fact(OrderState)
    if outcome.get("result") == "waiting":
        logger.warning(
            f"{host.print_prefix}no certificate was ordered yet: {outcome['reason']}. Push DNS and "
            "deploy again; the host tries by itself every half hour as well"
        )
