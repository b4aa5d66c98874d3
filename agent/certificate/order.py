"""When a certificate is ordered, and what is told of it. Pure: nothing is read, written or asked.

Let's Encrypt counts: 5 certificates a week for the same names, 5 failed validations an hour for each
name. So nothing is ordered that is there already, and failed orders make the next one wait.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from agent.certificate.config import Config, Lineage

# Fewer than the authority allows: a person may want to try once more by hand.
_FAILURES_AN_HOUR = 3
_HOUR = dt.timedelta(hours=1)
# How long the timer waits after so many failures in a row: Let's Encrypt stops listening to who asks in
# vain for weeks, and what nobody has mended within hours is not a matter of minutes.
_TIMER_WAITS = ((9, 24 * _HOUR), (6, 6 * _HOUR), (3, _HOUR))
_FAILURES_KEPT = 20


@dataclass(frozen=True)
class Certificate:
    """What is known of a certificate. `issued` is false for one that the host made itself."""

    names: frozenset[str]
    begins: dt.datetime
    ends: dt.datetime
    issued: bool = True
    directory: str = ""
    """The authority that it was ordered from; empty where that is not known."""

    @property
    def due(self) -> dt.datetime:
        """When to renew: with a third of its life left, whatever that is (30 days of 90)."""
        return self.ends - (self.ends - self.begins) / 3

    def is_urgent(self, now: dt.datetime) -> bool:
        """Whether so little of its life is left that a renewal which may fail is better than none.

        That is less than a ninth (10 days of 90). One that the host made itself can wait: nobody
        trusts it anyway.
        """
        return self.issued and now > self.ends - (self.ends - self.begins) / 9


@dataclass
class State:
    """How the last attempts went; kept on the host."""

    result: Literal["", "good", "waiting", "failed"] = ""
    """`waiting`: the authority was not asked, since it could not have validated every name."""
    reason: str = ""
    attempt: float = 0
    """When the last attempt that was no success began, in seconds since 1970; 0: never."""
    success: float = 0
    """When a new certificate last went into service."""
    failures: list[float] = field(default_factory=list)
    """When orders failed at the authority, in a row since the last that did not: the last 20."""
    failure: str = ""
    """Why the last of these failed; `reason` may say that another order has to wait."""

    def failed(self, now: dt.datetime, why: str) -> None:
        """Note an order that failed."""
        self.failures = [*self.failures, now.timestamp()][-_FAILURES_KEPT:]
        self.failure = why


def need(
    present: Certificate | None, config: Config, now: dt.datetime, *, forced: bool = False
) -> str:
    """Why a certificate has to be ordered; empty if the present one is good."""
    if present is None or not present.issued:
        return "there is none yet"
    wanted = frozenset(config.names)
    if present.names != wanted:
        lacks, more = sorted(wanted - present.names), sorted(present.names - wanted)
        parts = [f"lacks {', '.join(lacks)}"] * bool(lacks)
        parts += [f"names {', '.join(more)}, which the host no longer has"] * bool(more)
        return f"it {' and '.join(parts)}"
    if present.directory != config.directory:
        return f"it is from {present.directory or 'an unknown authority'}"
    if now >= present.due:
        return f"it ends on {present.ends:%Y-%m-%d}"
    return "a new one was asked for" if forced else ""


def pause(
    failures: Iterable[float], now: dt.datetime, *, timer: bool = False
) -> dt.datetime | None:
    """Until when no order may be made, since too many failed; None if one may be made now.

    `timer`: of the runs that nobody asked for, which have time. A person may have mended the cause.
    """
    # A clock that was wrong once must not stop orders for years.
    past = sorted(failure for failure in failures if failure <= now.timestamp())
    if timer:
        for count, wait in _TIMER_WAITS:
            if len(past) >= count:
                until = dt.datetime.fromtimestamp(past[-1], dt.UTC) + wait
                return until if until > now else None
        return None
    recent = recent_failures(past, now)
    if len(recent) < _FAILURES_AN_HOUR:
        return None
    first = dt.datetime.fromtimestamp(recent[-_FAILURES_AN_HOUR], dt.UTC)
    return first + _HOUR


def paused(state: State, until: dt.datetime, sooner: str = "") -> str:
    """What is told of a pause; `sooner` is the command that does not wait so long."""
    advice = (
        f"once that is mended, this orders sooner: {sooner}"
        if sooner
        else "mend that and try again then"
    )
    return (
        f"too many orders failed ({len(state.failures)} in a row): the next one is made after "
        f"{until:%Y-%m-%d %H:%M} UTC; the last one: {state.failure or 'no reason is known'}; {advice}"
    )


def recent_failures(failures: Iterable[float], now: dt.datetime) -> list[float]:
    """Those of the last hour, oldest first."""
    return sorted(
        failure for failure in failures if 0 <= now.timestamp() - failure < _HOUR.total_seconds()
    )


def refusal(
    new: Certificate, serving: Certificate | None, names: Iterable[str], now: dt.datetime
) -> str:
    """Why `new` must not take the place of `serving` (None: nothing usable); empty if it may."""
    if not new.begins <= now < new.ends:
        return f"it is valid from {new.begins:%Y-%m-%d %H:%M} to {new.ends:%Y-%m-%d %H:%M} UTC"
    missing = sorted(set(names) - new.names)
    # Some names too few are still better than a certificate that nobody trusts.
    if missing and serving is not None and serving.issued and now < serving.ends:
        return f"it lacks {', '.join(missing)}"
    return ""


def arguments(config: Config, lineage: Lineage, webroot: str, hook: str) -> list[str]:
    """The certbot command that orders a certificate, whatever the lineage holds so far."""
    key = (
        ["--key-type", "ecdsa", "--elliptic-curve", "secp256r1"]
        if lineage.key_type == "ecdsa"
        else ["--key-type", "rsa", "--rsa-key-size", "2048"]
    )
    contact = (
        ["--email", config.contact, "--no-eff-email"]
        if config.contact
        else ["--register-unsafely-without-email"]
    )
    return [
        *("certbot", "certonly", "--non-interactive", "--agree-tos", *contact),
        *("--server", config.directory),
        *("--webroot", "--webroot-path", webroot, "--preferred-challenges", "http-01"),
        *("--cert-name", lineage.name, *key),
        # The same key at each renewal, so that TLSA 3 1 1 records stay true (RFC 7671 §8.1).
        "--reuse-key",
        # What is due, and with which names, has been decided before.
        *("--force-renewal", "--renew-with-new-domains"),
        *("--deploy-hook", hook),
        *(part for name in config.names for part in ("--domain", name)),
    ]


def told(output: str) -> str:
    """What certbot's output says of a failure, in one line of at most 600 characters."""
    lines = [line.strip() for line in output.splitlines()]
    noise = ("Saving debug log", "Ask for help", "See the logfile", "Some challenges have failed.")
    kept = [line for line in lines if line and not line.startswith((*noise, "- - -"))]
    telling = [line for line in kept if line.startswith(("Domain:", "Type:", "Detail:"))]
    return " ".join(telling or kept[-4:])[:600] or "certbot gave no reason"


def listed(problems: Sequence[str], most: int = 3) -> str:
    """The first of many problems, and how many there are beside them."""
    more = len(problems) - most
    return "; ".join(problems[:most]) + (f"; and {more} names more" if more > 0 else "")


def metrics(state: State, certificates: Sequence[tuple[str, Certificate]]) -> str:
    """The state in Prometheus's text format, for node_exporter's textfile collector."""
    lines: list[str] = []

    def gauge(name: str, text: str, values: Iterable[tuple[str, float]]) -> None:
        full = f"mailfleet_certificate_{name}"
        lines.extend((f"# HELP {full} {text}", f"# TYPE {full} gauge"))
        lines.extend(f"{full}{labels} {value:.0f}" for labels, value in values)

    gauge(
        "expiry_timestamp_seconds",
        "When the certificate in service ends.",
        [
            (f'{{lineage="{name}"}}', certificate.ends.timestamp())
            for name, certificate in certificates
        ],
    )
    gauge(
        "last_success_timestamp_seconds",
        "When a new certificate last went into service; 0: never.",
        [("", state.success)],
    )
    gauge(
        "last_failure_timestamp_seconds",
        "When an attempt to get one last failed or could not be made; 0: never.",
        [("", state.attempt)],
    )
    gauge(
        "last_attempt_failed",
        "1 if no certificate that is wanted could be had at the last attempt.",
        [("", state.result in ("waiting", "failed"))],
    )
    return "".join(f"{line}\n" for line in lines)
