"""What goes wrong between us and the API: whether to try again, and in plain words what to do."""

from __future__ import annotations

from hcloud import APIException
from requests import RequestException, Timeout, exceptions

from mailfleet.apis.retry import Outcome
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


_OUTCOMES: dict[int | str, Outcome] = {
    429: Outcome.LIMITED,
    "rate_limit_exceeded": Outcome.LIMITED,
    423: Outcome.BUSY,
    "locked": Outcome.BUSY,
    "conflict": Outcome.BUSY,
    "server_error": Outcome.UNKNOWN,
    "unavailable": Outcome.UNKNOWN,
    "timeout": Outcome.UNKNOWN,
    "bad_gateway": Outcome.UNKNOWN,
}


def outcome_of(error: Error) -> Outcome:
    """What the failure says about the request."""
    if isinstance(error, APIException):
        code = error.code
        unknown = isinstance(code, int) and (code >= 500 or code == 408)
        return _OUTCOMES.get(code, Outcome.UNKNOWN if unknown else Outcome.REFUSED)
    lost = isinstance(error, Timeout | _Lost)
    return Outcome.UNKNOWN if lost else Outcome.REFUSED


def failure(doing: str, error: Error, waited: float | None = None) -> MailfleetError:
    """The error of one request; `doing` completes "cannot", e.g. "read shop.example".

    `waited` is for how many seconds the API asked us to stay away.
    """
    reason, hint = _reason(error, waited)
    refused = outcome_of(error) is Outcome.REFUSED
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
    if outcome_of(error) is Outcome.UNKNOWN:
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
