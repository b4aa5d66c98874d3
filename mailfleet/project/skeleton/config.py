"""What pyinfra reads before the inventory: whether it can read that at all."""

from mailfleet import inventory as _inventory

_inventory.check_run()
