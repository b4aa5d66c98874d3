"""The API token: how it gets into each request, and nowhere else."""

from __future__ import annotations

import re

import cloudflare
import httpx

from mailfleet.errors import MailfleetError
from mailfleet.secrets import Secret, variable

SECRET = "cloudflare"  # noqa: S105 (the secret's name)
PURPOSE = "the Cloudflare API token, with Zone:Read and DNS:Edit on the fleet's zones"
ENDPOINT = "https://api.cloudflare.com/client/v4"

_CONNECT = 10.0


def open_client(token: Secret, endpoint: str, timeout: float) -> cloudflare.Cloudflare:
    """The SDK's client: it neither retries nor knows the token.

    With CLOUDFLARE_EMAIL or CLOUDFLARE_API_KEY in the environment the SDK sends those instead of a
    token that it was given, and CLOUDFLARE_CUSTOM_HEADERS adds to every request. So the token is
    put into a request last, when the SDK is done with it. MailfleetError for a text that can be no
    token: as a header it would be refused in words that repeat it.
    """

    if not re.fullmatch(r"[!-~]+", token.reveal()):
        raise MailfleetError(
            f"the secret {variable(SECRET)} is no API token: it holds blanks, line breaks or letters "
            "that no token has",
            "copy it again, in one piece",
        )

    def authorise(request: httpx.Request) -> None:
        for name in [name for name in request.headers if name.lower().startswith("x-auth-")]:
            del request.headers[name]
        request.headers["Authorization"] = f"Bearer {token.reveal()}"

    timeouts = httpx.Timeout(timeout, connect=min(timeout, _CONNECT))
    return cloudflare.Cloudflare(
        api_token="set-later",  # noqa: S106 (the SDK wants one)
        base_url=endpoint,
        max_retries=0,
        timeout=timeouts,
        http_client=httpx.Client(event_hooks={"request": [authorise]}, timeout=timeouts),
    )
