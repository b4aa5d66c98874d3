"""Where a host asks who its inbound mail is really from (`agent/authentication/main.py`). Pure."""

from __future__ import annotations

UNIT = "mailfleet-authentication.service"
SOCKET = "/run/mailfleet-authentication/milter.sock"
