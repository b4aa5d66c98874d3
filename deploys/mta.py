"""Configure the mail hosts: `pyinfra inventories/prod deploys/mta.py`."""

from mailfleet.deployment import apply, current_target
from roles import desired, opendkim, postfix, tls

target = current_target()

apply(
    target,
    desired(target),
    between=(
        lambda: tls.apply(target, units=postfix.units(target)),
        lambda: opendkim.apply(target),
    ),
)
