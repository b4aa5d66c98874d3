"""Secrets: from the environment or one sops-encrypted file, never printed (decision D10)."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mailfleet.errors import MailfleetError
from mailfleet.model.secret_names import variable

__all__ = ["Secret", "missing", "optional_secret", "secret", "variable", "where_to_set"]

_FILE = "MAILFLEET_SECRETS"


class Secret:
    """A text that prints as `***`; `reveal` gives it to the one call that needs it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself."""
        return self._text

    def to_json(self) -> str:
        """For pyinfra, which prints data as JSON."""
        return "***"

    def __repr__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str:
        # A pickle would carry the plain text into whatever file or message holds it.
        raise TypeError("a secret cannot be serialised")


def secret(name: str, purpose: str) -> Secret:
    """The secret `name`, e.g. "tsig-mailfleet", that the operator gives.

    `purpose` tells a user what it is for. Raises MailfleetError where it is not set. What a fleet's
    environment makes itself, `mailfleet.project.environment` adds.
    """
    if (value := optional_secret(name)) is None:
        raise missing(name, purpose)
    return value


def missing(name: str, purpose: str) -> MailfleetError:
    """What a user reads of a secret that is not set."""
    key = variable(name)
    return MailfleetError(f"the secret {key} is not set: {purpose}", where_to_set(key))


def where_to_set(key: str) -> str:
    """Where a user puts the secret of the variable `key`."""
    path = os.environ.get(_FILE)
    other = f"add {key} to {path}" if path else f"set {_FILE} to a sops file that holds it"
    return f"export {key}=..., or {other}"


def optional_secret(name: str) -> Secret | None:
    """Like `secret`, but None where it is not set. Raises MailfleetError for an unreadable file."""
    key = variable(name)
    if text := os.environ.get(key, "").strip():
        return Secret(text)
    path = os.environ.get(_FILE)
    if path and (found := _from_file(path).get(key)) is not None:
        return found
    return None


def _from_file(path: str) -> dict[str, Secret]:
    # The file's time is part of the key, so that an edited file is read again.
    try:
        changed = Path(path).stat().st_mtime_ns
    except OSError as error:
        problem = f"the secrets file {path} cannot be read: {error.strerror}"
        raise MailfleetError(problem, f"let {_FILE} name a sops-encrypted file") from None
    return _decrypt(path, changed)


@functools.lru_cache(maxsize=4)
def _decrypt(path: str, _changed: int) -> dict[str, Secret]:
    sops = shutil.which("sops")
    if sops is None:
        problem = f"sops is not installed, and {_FILE} names {path}"
        raise MailfleetError(problem, "install sops, or set the secrets in the environment")
    command = [sops, "--decrypt", "--output-type", "json", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        problem = f"sops cannot decrypt {path}: {lines[-1] if lines else 'no reason given'}"
        hint = f"try `sops --decrypt {path}`; the decryption key must be on this machine"
        raise MailfleetError(problem, hint)
    try:
        content = json.loads(done.stdout)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        problem = f"{path} does not decrypt to a table"
        raise MailfleetError(problem, "write names and values, e.g. MAILFLEET_TSIG_PROD: ...")
    return _by_variable(content, path)


def _by_variable(content: Mapping[str, Any], path: str) -> dict[str, Secret]:
    """The secrets of a file by their variables, in whatever way it writes their names."""
    keys: dict[str, str] = {}
    for key in content:
        name = variable(_bare(key))
        other = keys.setdefault(name, key)
        if other != key:
            problem = f"{other} and {key} in {path} are both the secret {name}"
            raise MailfleetError(problem, "remove one; where two are meant, rename one of the two")
    return {name: Secret(str(content[key]).strip()) for name, key in keys.items()}


def _bare(key: str) -> str:
    return key.upper().replace("-", "_").replace(".", "_").removeprefix("MAILFLEET_")
