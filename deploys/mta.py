"""Configure the mail hosts: `pyinfra inventories/prod deploys/mta.py`."""

from mailfleet.deploy.host import run
from roles.profiles import MTA

run(MTA)
