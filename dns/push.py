"""Publish the fleet's DNS: `pyinfra inventories/NAME dns/push.py` reads, plans and pushes."""

from mailfleet.deploy.dns import push_dns

push_dns()
