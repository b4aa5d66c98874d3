"""Configure the mail hosts: `pyinfra inventories/prod deploys/mta.py`."""

from mailfleet.deploy.host import apply, current_target, state_of
from roles import desired

target = current_target()
apply(state_of(target, desired), target.host.all_addresses)
