"""What goes wrong between us and Cloudflare's API, in plain words with what to do."""

from __future__ import annotations

import cloudflare

from mailfleet.apis.retry import Outcome
from mailfleet.errors import MailfleetError
from mailfleet.secrets import variable

SECRET = "cloudflare"  # noqa: S105 (the secret's name)
PURPOSE = "the Cloudflare API token, with Zone:Read and DNS:Edit on the fleet's zones"

Failure = cloudflare.CloudflareError | ValueError
"""What a call may raise: ValueError where the answer is no JSON."""

_TOKEN_CODES = {6003, 6111, 1000}
_SAYS_LITTLE = (
    "see Cloudflare's status page, and run the command again: it finds what is left to do"
)


def failure(error: Failure, what: str) -> MailfleetError:
    """The error of one request; `what` completes "cannot", e.g. "read the zone shop.example"."""
    reason, hint = _reason(error)
    return MailfleetError(f"cannot {what} at Cloudflare: {reason}", hint)


def changed_meanwhile(zone: str) -> MailfleetError:
    """The zone is not what the plan was made from."""
    problem = (
        f"cannot change {zone} at Cloudflare: it was changed by somebody else since it was read"
    )
    return MailfleetError(problem, "run the command again")


def codes(error: Failure) -> frozenset[int]:
    """Cloudflare's own error codes in the answer."""
    listed = error.errors if isinstance(error, cloudflare.APIError) else []
    return frozenset(int(entry.code) for entry in listed or () if entry.code is not None)


def status(error: Failure) -> int:
    """The HTTP status; 0 where no usable answer came."""
    return error.status_code if isinstance(error, cloudflare.APIStatusError) else 0


def outcome_of(error: Failure) -> Outcome:
    """What the answer says of the request, which is no answer at all where it is not JSON."""
    code = status(error)
    if code == 429:
        return Outcome.LIMITED
    refused = 400 <= code < 500 and code not in {408, 409}
    return Outcome.REFUSED if refused else Outcome.UNKNOWN


def retry_after(error: Failure) -> float | None:
    """For how many seconds a limit asks us to stay away; the SDK heeds that up to a minute only."""
    if not isinstance(error, cloudflare.RateLimitError):
        return None
    seconds = error.response.headers.get("retry-after", "")
    return float(seconds) if seconds.isdigit() else None


def _reason(error: Failure) -> tuple[str, str]:
    token = variable(SECRET)
    match error:
        case cloudflare.APITimeoutError():
            return "no answer in time", _SAYS_LITTLE
        case cloudflare.APIConnectionError():
            # Not the cause's text: of a header that cannot be sent it repeats the whole token.
            cause = error.__cause__
            reason = f"no connection ({type(cause).__name__})" if cause else "no connection"
            return reason, "does HTTPS to api.cloudflare.com work from here?"
        case cloudflare.RateLimitError():
            return "its limit of requests is used up (HTTP 429)", (
                "it allows 1,200 requests in five minutes for one user, the dashboard's included: "
                "wait five minutes, then run the command again"
            )
        case cloudflare.PermissionDeniedError():
            return f"the token may not do that ({_reply(error)})", (
                f"give the token in {token} the permissions Zone:Read and DNS:Edit, and the zone "
                "among its zone resources; a zone that is only minutes old may refuse as well"
            )
        case cloudflare.AuthenticationError():
            return f"it does not accept the token ({_reply(error)})", _new_token(token)
        case cloudflare.APIStatusError() if codes(error) & _TOKEN_CODES:
            return f"it does not accept the token ({_reply(error)})", _new_token(token)
        case cloudflare.InternalServerError():
            return _reply(error), _SAYS_LITTLE
        case cloudflare.APIStatusError():
            return _reply(error), "change what it objects to, in the domain file or at Cloudflare"
    return "its answer cannot be understood", _SAYS_LITTLE


def _new_token(token: str) -> str:
    return f"compare {token} with the token at Cloudflare, and whether it has expired"


def _reply(error: cloudflare.APIStatusError) -> str:
    texts = [f"{entry.message} [{entry.code}]" for entry in error.errors or () if entry.message]
    return f"HTTP {error.status_code}" + (f": {'; '.join(texts)}" if texts else "")
