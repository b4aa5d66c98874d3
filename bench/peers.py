"""What one would take instead of mailfleet's servers, side by side: rate, processor, memory, safety."""

from __future__ import annotations

import base64
import re
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import dkim
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from bench import bypass, peers_setups, site, usage
from bench.figures import Figure, Result, median_ratio
from bench.peers_setups import FLOOR, MAILFLEET, SETUPS, Setup

NAME = "peers"
_ROUNDS = 5
_MESSAGES = 3000
_SIZE = 10_000
_TRACED = 10
_BITS = 2048
_PATIENCE = 600
_DUMP = "/tmp/bench-message"  # noqa: S108 - on the receiver, a host of the lab
_CONTROL = "mailfleet once more (control)"


def run() -> Result:
    """Set all up, prove that each signs and queues, then measure in turns."""
    with site.deployed(more=peers_setups.machines()):
        peers_setups.prepare()
        return compare(_ROUNDS, _MESSAGES)


def compare(rounds: int, messages: int) -> Result:
    """The figures of set-ups that run already."""
    for setup in SETUPS:
        check_signature(setup)
    durable = {setup.name: min(synced(setup)) for setup in SETUPS}
    memory = {setup.name: kilobytes(setup, messages // 4) for setup in SETUPS}
    rates, cpu = measure(rounds, messages)
    floor = rates[FLOOR.name]
    names = [setup.name for setup in SETUPS]
    ratios = {name: _ratio(rates[name], floor) for name in (*names, _CONTROL) if name != FLOOR.name}
    return Result(
        NAME,
        _method(rounds, messages),
        (
            *(Figure(f"{n}: rate", statistics.median(rates[n]), "messages/s") for n in names),
            *(Figure(f"{n} / unsigned", ratio) for n, ratio in ratios.items()),
            Figure("control / mailfleet", _ratio(rates[_CONTROL], rates[MAILFLEET.name])),
            *(Figure(f"{n}: processor", statistics.median(cpu[n]), "ms a message") for n in names),
            *(Figure(f"{n}: memory", memory[n] / 1024, "MB") for n in names),
            *(Figure(f"{n}: fsyncs before the 250, at least", durable[n]) for n in names),
        ),
    )


def _ratio(some: list[float], others: list[float]) -> float:
    return median_ratio(tuple(zip(some, others, strict=True)))


def measure(rounds: int, messages: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Messages per second and milliseconds of processor per message, by name and round.

    Each round has every set-up once, and ours twice; the next one goes backwards.
    """
    turns = [(setup.name, setup) for setup in SETUPS] + [(_CONTROL, MAILFLEET)]
    rates: dict[str, list[float]] = {name: [] for name, _ in turns}
    cpu: dict[str, list[float]] = {name: [] for name, _ in turns}
    for number in range(rounds):
        for name, setup in turns if number % 2 else turns[::-1]:
            before = usage.cpu_seconds(setup.host)
            rates[name].append(rate(setup, messages))
            cpu[name].append((usage.cpu_seconds(setup.host) - before) / messages * 1000)
        said = ", ".join(f"{name} {values[-1]:.0f}/s" for name, values in rates.items())
        site.say(f"peers, round {number + 1} of {rounds}: {said}")
    return rates, cpu


def rate(setup: Setup, messages: int, sessions: int = 20) -> float:
    """Messages per second from smtp-source's start until the sink has them all."""
    with bypass.sink(messages) as arriving:
        began = time.monotonic()
        site.on("receiver", _source(setup, messages, sessions), _PATIENCE)
        try:
            arriving.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            raise site.BenchError(f"{setup.name}: the sink never had all {messages}") from None
        return messages / (time.monotonic() - began)


def _source(setup: Setup, messages: int, sessions: int) -> str:
    return (
        f"smtp-source -s {sessions} -m {messages} -l {_SIZE} -f {setup.sender} "
        f"-t {bypass.RECIPIENT} -M receiver.bench.test {setup.address}:{setup.port}"
    )


def kilobytes(setup: Setup, messages: int) -> int:
    """The most memory that the set-up's processes had under load."""
    with ThreadPoolExecutor(1) as pool:
        sampling = pool.submit(site.on, setup.host, usage.sampling(setup.units), _PATIENCE)
        try:
            rate(setup, messages)
        finally:
            usage.end_sampling(setup.host)
        return usage.kilobytes(sampling.result())


def synced(setup: Setup) -> list[int]:
    """For each of some messages how often it was synchronised to the disk before its 250."""
    with usage.traced(setup.host, setup.units) as trace:
        for _ in range(_TRACED):
            rate(setup, 1, sessions=1)
    counts = usage.syncs(trace.text)
    if len(counts) != _TRACED:
        raise site.BenchError(
            f"{setup.name}: strace saw {len(counts)} messages of {_TRACED} taken:\n"
            + "\n".join(trace.text.splitlines()[-20:])
        )
    return counts


def check_signature(setup: Setup) -> None:
    """BenchError unless dkimpy finds the signature of a message good, and it is what all shall make."""
    site.on("receiver", f"rm -f {_DUMP}")
    with bypass.sink(1, _DUMP) as arriving:
        site.on("receiver", _source(setup, 1, 1))
        arriving.wait(60)
    text = site.on("receiver", f"cat {_DUMP}").partition("\n")[2]
    header = re.search(r"(?m)^DKIM-Signature:.*(?:\n[ \t].*)*", text)
    if not setup.key:
        if header:
            raise site.BenchError(f"{setup.name}: the message is signed")
        return
    if header is None:
        raise site.BenchError(f"{setup.name}: the message is not signed")
    tags = dict(re.findall(r"[:;]\s*(\w+)\s*=\s*([^;\s]+)", header[0]))
    if (tags.get("a"), tags.get("c")) != ("rsa-sha256", "relaxed/relaxed"):
        raise site.BenchError(f"{setup.name} signs otherwise: {header[0]}")
    path = setup.key.format(d=tags["d"], s=tags["s"])
    public = site.on(
        setup.host, f"test -s {path} && openssl pkey -in {path} -pubout -outform DER | base64 -w0"
    )
    key = load_der_public_key(base64.b64decode(public))
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size != _BITS:
        raise site.BenchError(f"{setup.name}: {path} is no RSA key of {_BITS} bits")
    record = b"v=DKIM1; k=rsa; p=" + public.strip().encode()
    if not dkim.verify(text.replace("\n", "\r\n").encode(), dnsfunc=lambda *_, **__: record):
        raise site.BenchError(f"{setup.name}: dkimpy refuses the signature {header[0]}")


def _method(rounds: int, messages: int) -> str:
    return (
        "What one would take instead, side by side: the Postfix instance of mailfleet's that sends "
        "transactional mail, without a signer (the floor), as deployed, and with rspamd as its signer; Exim "
        "with its own DKIM, OpenSMTPD with filter-dkimsign, Haraka with its DKIM plugin. All on Debian 13, "
        "each on the same disk, with the configuration and the reasons in bench/peers_setups.py, and a "
        f"2048-bit RSA signature, relaxed/relaxed, that dkimpy found good. {messages} messages of "
        f"{_SIZE // 1000} kB, 20 sessions, a connection for each message, from smtp-source's start until the "
        f"sink has the last one; both stand on another host of the same machine. {rounds} rounds, the order "
        "changing; ratios are medians of the rounds' ratios, and the control is mailfleet measured twice in "
        "each round: what differs less from 1 than it does is noise. Processor: all services of the host. "
        "Memory (PSS): the most under load, of the mail server and its signer. Safety: strace counts what "
        f"was synchronised to the disk between a message's 354 and its 250, the least of {_TRACED} messages."
    )
