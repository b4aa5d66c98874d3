"""Programs that run on the hosts, with the Python and the packages of their Debian release."""
