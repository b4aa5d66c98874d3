"""Configure the mail hosts: `pyinfra inventories/prod deploys/mta.py`."""

from functools import partial

from mailfleet.deploy.host import apply, current_target
from roles import desired, opendkim, tls

target = current_target()
state = desired(target)
need = tls.OrderNeeded()
apply(
    state,
    target.host.all_addresses,
    partial(tls.apply, target=target, state=state, need=need),
    partial(opendkim.apply, target=target),
    last=partial(tls.order, need=need),
)
