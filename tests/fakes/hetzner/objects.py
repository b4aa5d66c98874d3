"""The API's objects as JSON, complete enough for its description."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

NOW = "2026-11-01T12:00:00Z"

_LOCATION = {
    "id": 1,
    "name": "fsn1",
    "description": "Falkenstein DC Park 1",
    "country": "DE",
    "city": "Falkenstein",
    "latitude": 50.47612,
    "longitude": 12.370071,
    "network_zone": "eu-central",
}


def action(number: int, command: str) -> Json:
    return {
        "id": number,
        "command": command,
        "status": "running",
        "progress": 0,
        "started": NOW,
        "finished": None,
        "resources": [],
        "error": None,
    }


def zone(number: int, name: str, ttl: int, mode: str) -> Json:
    secondary = [{"address": "192.0.2.53", "port": 53}]
    return {
        "id": number,
        "name": name,
        "created": NOW,
        "mode": mode,
        **({"primary_nameservers": secondary} if mode == "secondary" else {}),
        "labels": {},
        "protection": {"delete": False},
        "ttl": ttl,
        "status": "ok",
        "record_count": 2,
        "registrar": "other",
        "authoritative_nameservers": {
            "assigned": ["hydrogen.ns.hetzner.com.", "oxygen.ns.hetzner.com."],
            "delegated": [],
            "delegation_last_check": NOW,
            "delegation_status": "valid",
        },
    }


def primary_ip(number: int, ip: str, names: dict[str, str]) -> Json:
    return {
        "id": number,
        "name": f"primary-{number}",
        "labels": {},
        "created": NOW,
        "blocked": False,
        "location": _LOCATION,
        "ip": ip,
        "dns_ptr": [{"ip": address, "dns_ptr": name} for address, name in names.items()],
        "protection": {"delete": False},
        "type": "ipv6" if ":" in ip else "ipv4",
        "auto_delete": False,
        "assignee_type": "unassigned",
        "assignee_id": None,
    }


def floating_ip(number: int, ip: str, names: dict[str, str]) -> Json:
    return {
        "id": number,
        "name": f"floating-{number}",
        "description": None,
        "labels": {},
        "created": NOW,
        "blocked": False,
        "home_location": _LOCATION,
        "ip": ip,
        "dns_ptr": [{"ip": address, "dns_ptr": name} for address, name in names.items()],
        "protection": {"delete": False},
        "type": "ipv6" if ":" in ip else "ipv4",
        "server": None,
    }


def server(number: int, ipv4: str, ipv6: str) -> Json:
    return {
        "id": number,
        "name": f"server-{number}",
        "status": "running",
        "created": NOW,
        "public_net": {
            "ipv4": {
                "id": number + 1,
                "ip": ipv4,
                "blocked": False,
                "dns_ptr": "static.clients.your-server.de",
            },
            "ipv6": {"id": number + 2, "ip": ipv6, "blocked": False, "dns_ptr": []},
            "floating_ips": [],
        },
        "private_net": [],
        "server_type": {
            "id": 1,
            "name": "cx23",
            "description": "CX23",
            "cores": 2,
            "memory": 4,
            "disk": 40,
            "deprecated": False,
            "prices": [],
            "storage_type": "local",
            "cpu_type": "shared",
            "architecture": "x86",
            "locations": [],
        },
        "location": _LOCATION,
        "image": None,
        "iso": None,
        "rescue_enabled": False,
        "locked": False,
        "backup_window": None,
        "outgoing_traffic": None,
        "ingoing_traffic": None,
        "included_traffic": None,
        "protection": {"delete": False, "rebuild": False},
        "labels": {},
        "volumes": [],
        "load_balancers": [],
        "primary_disk_size": 40,
        "placement_group": None,
    }
