"""Judging looks at SMTP ports: relaying, TLS, greetings; how orders of certificates went."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mailfleet.verify.ports import Greeting, Look


def unreachable(looks: Iterable[Look]) -> list[str]:
    """Ports that could not be looked at to the end."""
    return [
        f"{look.port} does not answer as expected: {look.error}" for look in looks if look.error
    ]


def unseen(looks: Iterable[Look]) -> list[str]:
    """The same in one line, for checks that prove nothing about such ports."""
    ports = [f"{look.port.address} port {look.port.number}" for look in looks if look.error]
    return [f"could not be looked at, see postfix.greets: {', '.join(ports)}"] if ports else []


def relay_problems(looks: Iterable[Look], client: str) -> list[str]:
    """Recipients that a port took, or did not refuse for good; `client` says who asked."""
    problems = []
    for look in looks:
        for sender, recipient, code, text in look.result["replies"]:
            answer = f"{code} {text}"
            if 200 <= code < 300:
                problems.append(
                    f"open relay: {look.port} for {client}: mail from {sender} to {recipient} "
                    f"is accepted ({answer}), expected a refusal"
                )
            elif not 500 <= code < 600:
                problems.append(
                    f"{look.port} for {client} answers {answer}, expected a refusal for good (5xx)"
                )
        if not look.error and len(look.result["replies"]) != len(look.port.tries()):
            problems.append(f"{look.port} for {client}: not every attempt was answered")
    return problems


def tls_problems(looks: Iterable[Look]) -> list[str]:
    """Ports without TLS 1.2 or newer, with older versions, or with logins outside of TLS."""
    problems = []
    for look in looks:
        if look.error:
            continue
        version = look.result["tls"]
        if version not in ("TLSv1.2", "TLSv1.3"):
            problems.append(f"{look.port} speaks {version or 'no TLS'}, expected TLS 1.2 or newer")
        if look.result["old_tls"]:
            problems.append(
                f"{look.port} still takes {look.result['old_tls']}, expected TLS 1.2 or newer"
            )
        if look.result["other_suite"]:
            problems.append(
                f"{look.port} takes the suite {look.result['other_suite']}, "
                "expected only those of Mozilla's guideline 6.0"
            )
        if "auth" in look.result["plain_features"]:
            problems.append(f"{look.port} offers logins without TLS")
    return problems


def smuggling_problems(looks: Iterable[Look]) -> list[str]:
    """Ports that take a wrong end for the end of a message."""
    return [
        f"{look.port} takes {name} for the end of a message (it answers {reply}), "
        "expected <CR><LF>.<CR><LF> alone: SMTP smuggling"
        for look in looks
        for name, reply in look.result["ends"].items()
        if reply
    ]


def turn_problems(looks: Iterable[Look]) -> list[str]:
    """Ports that answer commands which were sent before it was their turn."""
    return [
        f"{look.port} answers commands out of turn with {', '.join(map(str, codes))}, "
        "expected it to hang up"
        for look in looks
        if (codes := look.result["out_of_turn"]) and any(200 <= code < 300 for code in codes)
    ]


def order_problems(state: Mapping[str, str]) -> list[str]:
    """Why the last attempt to get a certificate was no success; `state` is what the host kept."""
    reason = state.get("reason", "")
    if state.get("result") == "good":
        return []
    if state.get("result") == "failed":
        return [f"the last attempt to get a certificate failed: {reason}"]
    if state.get("result") == "waiting":
        return [f"no certificate could be ordered: {reason}"]
    return ["no certificate was ever ordered; deploy again"]


def banner_problems(looks: Iterable[Look]) -> list[str]:
    """Ports that greet with another name than the host's or the sending address's own."""
    problems = []
    for look in looks:
        expected = f"220 {look.port.names()[-1]} "
        if not look.error and not look.result["banner"].startswith(expected):
            problems.append(
                f"{look.port} greets '{look.result['banner']}', expected '{expected}...'"
            )
    return problems


def greeting_problems(greetings: Iterable[Greeting]) -> list[str]:
    """Sending addresses from which no inbound port of the fleet can be greeted."""
    problems = []
    for greeting in greetings:
        port, look = greeting.port, greeting.result
        if port is None:
            family = f"IPv{greeting.address.version}"
            problems.append(f"{greeting.address}: the fleet has no inbound port on {family} to try")
        elif look["error"]:
            problems.append(f"from {greeting.address}, {port} cannot be reached: {look['error']}")
        elif look["source"] != str(greeting.address):
            problems.append(f"connections leave from {look['source']}, expected {greeting.address}")
        elif look["helo"][0] != 250:
            code, text = look["helo"]
            problems.append(
                f"from {greeting.address}, EHLO {greeting.helo} is answered {code} {text}"
            )
    return problems
