"""Keep this host's certificate good: order it, renew it, and let the services serve it.

    python3 agent.pyz certificate run       an order if one is needed: what a deploy does
    python3 agent.pyz certificate timer     the same, with long pauses once many orders have failed
    python3 agent.pyz certificate renew     an order even if the present certificate is good
    python3 agent.pyz certificate install   take over what certbot holds, without an order

Runs on a mail host with Debian's own Python and certbot. Exit codes: 0 all is good, 1 failed, 75 the
authority was not asked, since it could not validate every name yet. A certificate that serves is
never given up for one that is worse.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from agent.certificate import files, order
from agent.certificate.config import Config, Lineage
from agent.certificate.order import State
from agent.certificate.reach import problems
from agent.lib.configuration import load

CONFIG = "/etc/mailfleet/certificate.json"
FOLDER = "/var/lib/mailfleet/certificate"
WEBROOT = "/var/lib/mailfleet/acme"
METRICS = "/var/lib/mailfleet/metrics/certificate.prom"
# The archive that this module is in.
_COMMAND = f"python3 -I {pathlib.Path(__file__).parents[2]} certificate"
HOOK = f"{_COMMAND} install"
RUN = f"{_COMMAND} run"
GOOD, FAILED, WAITING = 0, 1, 75
_CERTBOT_SECONDS = 600
_LOG = "/var/log/letsencrypt/letsencrypt.log"


class NotGoodError(Exception):
    """The certificate is not as it should be; `waiting` if the authority was not asked."""

    def __init__(self, text: str, *, waiting: bool = False) -> None:
        super().__init__(text)
        self.waiting = waiting


def run(config: Config, settled: str, *, forced: bool = False, timer: bool = False) -> int:
    """Order what is needed and install it; `settled` marks this configuration as carried out.

    `forced`: even what is not needed. `timer`: nobody is waiting, so that many failures make it wait.
    """
    with _alone("order"):
        state = _read_state()
        before = files.content(files.CHAIN)
        try:
            ordered = [
                _obtain(config, lineage, state, forced=forced, timer=timer)
                for lineage in config.lineages
            ]
            # Where nothing was ordered, none of the failures has been made good.
            if any(ordered):
                state.failures, state.failure = [], ""
            install(config)
        except NotGoodError as error:
            state.result = "waiting" if error.waiting else "failed"
            state.reason, state.attempt = str(error), _now().timestamp()
            _write_state(state, config)
            print(error, file=sys.stderr)
            return WAITING if error.waiting else FAILED
        state.result, state.reason = "good", ""
        # certbot's hook may have been the one who installed it.
        changed = files.content(files.CHAIN) != before
        if changed:
            state.success = _now().timestamp()
        _write_state(state, config)
        files.write(f"{FOLDER}/settled", f"{settled}\n", 0o644)
        print("a new certificate is in service" if changed else "the certificate is good")
        return GOOD


def _obtain(config: Config, lineage: Lineage, state: State, *, forced: bool, timer: bool) -> bool:
    """Order one certificate if need be, and tell if it was; NotGoodError where it cannot be had."""
    material = files.lineage(lineage.name)
    present = files.described(material, files.directory_of(lineage.name)) if material else None
    reason = order.need(present, config, _now(), forced=forced)
    if not reason:
        return False
    print(f"ordering {lineage.name}: {reason}")
    until = order.pause(state.failures, _now(), timer=timer)
    if until is not None:
        raise NotGoodError(order.paused(state, until, RUN if timer else ""))
    # A peer that is down for weeks must not be what a good host's certificate ends by.
    is_urgent = present is not None and present.is_urgent(_now())
    if faults := problems(config.names, config.addresses, WEBROOT, one_address=is_urgent):
        raise NotGoodError(order.listed(faults), waiting=True)
    if material is None and lineage == config.lineages[0]:
        files.adopt(lineage.name)
    logged = files.size(_LOG)
    code, output = _certbot(config, lineage)
    # certbot 2.1 trips over this answer and tells something else; its log has it, after a week's other
    # lines: Debian's certbot appends until logrotate takes the file away.
    if code and "acme:error:accountDoesNotExist" in files.added(_LOG, logged):
        # Staging forgets its accounts now and then, a lab's authority at each start.
        _forget_account(config)
        code, output = _certbot(config, lineage)
    if code:
        state.failed(_now(), f"{config.directory} gave no certificate: {order.told(output)}")
        raise NotGoodError(state.failure)
    return True


def _certbot(config: Config, lineage: Lineage) -> tuple[int, str]:
    bundle = {"REQUESTS_CA_BUNDLE": config.bundle} if config.bundle else {}
    try:
        done = subprocess.run(
            order.arguments(config, lineage, WEBROOT, HOOK),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_CERTBOT_SECONDS,
            env={**os.environ, "LC_ALL": "C.UTF-8", **bundle},
        )
    except subprocess.TimeoutExpired:
        return FAILED, f"certbot was stopped after {_CERTBOT_SECONDS} s"
    return done.returncode, done.stdout


def _forget_account(config: Config) -> None:
    """Let certbot register anew with this authority."""
    where = config.directory.removeprefix("https://")
    for file in pathlib.Path(files.CERTBOT, "accounts", where).rglob("*.json"):
        file.unlink()
    for folder in pathlib.Path(files.CERTBOT, "accounts", where).glob("*"):
        folder.rmdir()


def install(config: Config) -> None:
    """Serve what certbot holds, if it is good; NotGoodError, and nothing has changed, if not."""
    with _alone("install"):
        parts = []
        now = _now()
        for lineage in config.lineages:
            material = files.lineage(lineage.name)
            if material is None or not (new := files.described(material)).issued:
                continue
            problem = files.problem(material, public=config.public)
            problem = problem or order.refusal(new, files.serving(), config.names, now)
            if problem:
                raise NotGoodError(
                    f"the certificate {lineage.name} is not put into service: {problem}"
                )
            parts.append(material)
        if not parts:
            raise NotGoodError("certbot holds no certificate yet")
        marker = f"{FOLDER}/reload"
        wanted = {
            files.CHAIN: "".join(part.text for part in parts),
            files.WEB_CHAIN: parts[0].text,
            files.KEY: parts[0].key,
        }
        if any(files.content(path) != text for path, text in wanted.items()):
            # First the mark: a host that loses its power now reloads at the next run.
            files.write(marker, "".join(f"{unit}\n" for unit in config.units), 0o644)
        for path, text in wanted.items():
            files.write(path, text, 0o600 if path == files.KEY else 0o640)
        if os.path.exists(marker):
            _reload(config.units)
            os.unlink(marker)


def _reload(units: tuple[str, ...]) -> None:
    """Tell each unit that runs; a reload keeps every listening socket and connection."""
    for unit in units:
        done = subprocess.run(
            ["systemctl", "try-reload-or-restart", unit],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            text = f"{unit} did not reload the new certificate: {done.stderr.strip()}"
            raise NotGoodError(text)


@contextmanager
def _alone(what: str) -> Iterator[None]:
    """One at a time; certbot's hook comes in while an order is being made, hence two locks."""
    os.makedirs(FOLDER, exist_ok=True)
    with open(f"{FOLDER}/{what}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read_state() -> State:
    try:
        return State(**json.loads(pathlib.Path(FOLDER, "state.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return State()


def _write_state(state: State, config: Config) -> None:
    files.write(f"{FOLDER}/state.json", json.dumps(vars(state)) + "\n", 0o644)
    materials = [(lineage.name, files.lineage(lineage.name)) for lineage in config.lineages]
    known = [(name, files.described(material)) for name, material in materials if material]
    files.write(METRICS, order.metrics(state, known), 0o644)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def main(arguments: Sequence[str]) -> int:
    """Do what the one argument says."""
    verb = arguments[0] if len(arguments) == 1 else ""
    if verb not in ("run", "timer", "renew", "install"):
        print(__doc__, file=sys.stderr)
        return 2
    # The web server reads challenges as another user, whatever the umask of who deploys.
    os.umask(0o022)
    config = load(Config, CONFIG)
    if verb == "install":
        try:
            install(config)
        except NotGoodError as error:
            print(error, file=sys.stderr)
            return FAILED
        return GOOD
    settled = hashlib.sha256(pathlib.Path(CONFIG).read_bytes()).hexdigest()
    return run(config, settled, forced=verb == "renew", timer=verb == "timer")
