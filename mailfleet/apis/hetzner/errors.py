"""What goes wrong between us and the API: whether to try again, and in plain words what to do."""

from __future__ import annotations

from enum import Enum, auto

from hcloud import APIException
from requests import RequestException, Timeout, exceptions

from mailfleet.errors import MailfleetError, RefusedError
from mailfleet.secrets import variable

VARIABLE = variable("hetzner")
"""Where the token is."""

PERMISSION = (
    "an API token of the Hetzner project that holds the zones, with read & write permission"
)

READ_ONLY = "token_readonly"

_AGAIN = "run the command again; what is done already is recognised"
_STATUS = "see https://status.hetzner.com, then " + _AGAIN

Error = APIException | RequestException

_Lost = exceptions.ConnectionError | exceptions.ChunkedEncodingError


class Kind(Enum):
    """What a failure says about the request."""

    LIMITED = auto()
    """Not carried out: too many requests."""
    BUSY = auto()
    """Not carried out: something else is going on at the resource."""
    UNKNOWN = auto()
    """Perhaps carried out."""
    REFUSED = auto()
    """Not carried out, and no better when it is repeated."""


_KINDS: dict[int | str, Kind] = {
    429: Kind.LIMITED,
    "rate_limit_exceeded": Kind.LIMITED,
    423: Kind.BUSY,
    "locked": Kind.BUSY,
    "conflict": Kind.BUSY,
    "server_error": Kind.UNKNOWN,
    "unavailable": Kind.UNKNOWN,
    "timeout": Kind.UNKNOWN,
    "bad_gateway": Kind.UNKNOWN,
}


def kind(error: Error) -> Kind:
    """What the failure says about the request."""
    if isinstance(error, APIException):
        code = error.code
        unknown = isinstance(code, int) and (code >= 500 or code == 408)
        return _KINDS.get(code, Kind.UNKNOWN if unknown else Kind.REFUSED)
    lost = isinstance(error, Timeout | _Lost)
    return Kind.UNKNOWN if lost else Kind.REFUSED


def failure(doing: str, error: Error, waited: float | None = None) -> MailfleetError:
    """The error of one request; `doing` completes "cannot", e.g. "read shop.example".

    `waited` is for how many seconds the API asked us to stay away.
    """
    reason, hint = _reason(error, waited)
    refused = kind(error) is Kind.REFUSED
    return (RefusedError if refused else MailfleetError)(
        f"cannot {doing} at hetzner: {reason}", hint
    )


def read_only() -> str:
    """The problem of a token without write permission."""
    return (
        f"the token {VARIABLE} may only read; set it to {PERMISSION}: the permission of "
        "a token cannot be changed, so create a new one under Security, API tokens"
    )


def _reason(error: Error, waited: float | None) -> tuple[str, str]:
    if not isinstance(error, APIException):
        return _network(error)
    match error.code:
        case "unauthorized" | 401:
            return "the token is not accepted", f"set {VARIABLE} to {PERMISSION}"
        case "token_readonly" | "forbidden" | 403:
            return "the token lacks the permission", f"set {VARIABLE} to {PERMISSION}"
        case "rate_limit_exceeded" | 429:
            asked = f" for {waited:.0f} s" if waited else ""
            return f"too many requests, we are told to stay away{asked}", f"wait, then {_AGAIN}"
        case "protected":
            return "it is protected against changes", "remove the protection in the console"
        case "locked" | "conflict" | 423:
            return "it stays locked by another change", _AGAIN
        case "incorrect_zone_mode":
            return "the zone is in secondary mode", "make it a primary zone at Hetzner"
        case "maintenance":
            return "the API is under maintenance", _STATUS
    if kind(error) is Kind.UNKNOWN:
        return f"the API does not work ({error.code})", _STATUS
    return _refusal(error)


def _refusal(error: APIException) -> tuple[str, str]:
    """The API's own words, and the fields that it complains about."""
    details = error.details if isinstance(error.details, dict) else {}
    fields = details.get("fields")
    found = [
        f"{field.get('name')}: {', '.join(map(str, field.get('messages') or ()))}"
        for field in (fields if isinstance(fields, list) else ())
        if isinstance(field, dict)
    ]
    text = "; ".join([f"{error.message} ({error.code})", *found])
    return text, "if the reason does not tell, look at the zone in the console"


def _network(error: RequestException) -> tuple[str, str]:
    # The text of the exception is not shown: it can hold the header with the token.
    match error:
        case Timeout():
            return "no answer in time", _AGAIN
        case exceptions.ConnectionError() | exceptions.ChunkedEncodingError():
            return "no connection", "is the network up, and is a proxy needed (HTTPS_PROXY)?"
    return f"the request is not possible ({type(error).__name__})", "check the API's address"
