"""Configure the mail hosts: `pyinfra inventories/prod deploys/mta.py`."""

from functools import partial

from mailfleet.deployment import apply, current_target
from roles import desired, opendkim, postfix, tls

target = current_target()
apply(
    desired(target),
    partial(tls.apply, target=target, units=postfix.units(target)),
    partial(opendkim.apply, target=target),
)
