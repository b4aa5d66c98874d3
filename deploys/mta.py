"""Configure the mail hosts: `pyinfra inventories/prod deploys/mta.py`."""

from mailfleet.deploy.host import apply, current_target
from roles import desired

target = current_target()
apply(desired(target), target.host.all_addresses)
