"""The provider class and its keyword arguments, those that are secrets looked up."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any
from urllib.parse import quote, quote_plus

from mailfleet.errors import MailfleetError
from mailfleet.model.options import ProviderClass
from mailfleet.secrets import Secret, secret

_OWN = "MAILFLEET_"
_ENV = "env/"
_EXTRA = "pip install 'mailfleet[octodns]'"
_SINCE = (1, 22)
# Shorter lines of a secret stand in other texts as well.
_TELLING = 8


@dataclass(frozen=True)
class Arguments:
    """What the provider class is called with."""

    path: str
    plain: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)

    def hidden(self, text: str) -> str:
        """`text` without the secrets: what a provider class says may repeat its arguments.

        Nor as repr() and URLs write them, nor single lines of one that has several.
        """
        for argument in self.secrets.values():
            plain = argument.reveal()
            lines = [line for line in plain.splitlines() if len(line) >= _TELLING]
            for form in (
                plain,
                repr(plain)[1:-1],
                quote(plain),
                quote(plain, safe=""),
                quote_plus(plain),
                *lines,
            ):
                text = text.replace(form, "***")
        return text


SecretSource = Callable[[str, str], Secret]
"""Gives a secret by its name and purpose; MailfleetError where it is not set."""


def arguments(given: ProviderClass, source: SecretSource = secret) -> Arguments:
    """What the class is called with, its env/NAME references looked up.

    MailfleetError where a secret is not set.
    """
    plain: dict[str, Any] = {}
    secrets: dict[str, Secret] = {}
    for name, value in given.arguments:
        if isinstance(value, str) and value.startswith(_ENV):
            secrets[name] = _looked_up(value.removeprefix(_ENV), _purpose(name, given.path), source)
        else:
            plain[name] = list(value) if isinstance(value, tuple) else value
    return Arguments(given.path, plain, secrets)


def references(given: ProviderClass) -> Iterator[tuple[str, str]]:
    """The environment variables that the arguments name as env/NAME, and what each is for."""
    for name, value in given.arguments:
        if isinstance(value, str) and value.startswith(_ENV):
            yield value.removeprefix(_ENV), _purpose(name, given.path)


def part(name: str) -> Any:
    """A module of octoDNS, which is an optional extra; MailfleetError where it is missing."""
    try:
        version = str(import_module("octodns").__version__)
        module = import_module(name)
    except ImportError:
        problem = "provider octodns needs octoDNS, which is not installed"
        raise MailfleetError(problem, f"install it: {_EXTRA}") from None
    if tuple(int(digit) for digit in version.split(".")[:2]) < _SINCE:
        problem = f"octoDNS {version} is too old for mailfleet"
        raise MailfleetError(problem, f"upgrade it: {_EXTRA} --upgrade")
    return module


def provider_class(path: str) -> Any:
    """The class at a dotted path; MailfleetError where there is none."""
    part("octodns.provider.base")
    module, _, name = path.rpartition(".")
    package = module.partition(".")[0]
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        problem = f"the octoDNS provider {path} cannot be loaded: {error}"
        hint = f"install its package, e.g. pip install {package.replace('_', '-')}"
        raise MailfleetError(problem, hint) from None
    except (ImportError, AttributeError) as error:
        problem = f"the octoDNS provider {path} cannot be loaded: {error}"
        raise MailfleetError(problem, "compare class in [dns] with the provider's README") from None


def _purpose(argument: str, path: str) -> str:
    return f"the argument {argument} of {path}"


def _looked_up(variable: str, purpose: str, source: SecretSource) -> Secret:
    if variable.startswith(_OWN):
        return source(variable.removeprefix(_OWN), purpose)
    if text := os.environ.get(variable, "").strip():
        return Secret(text)
    problem = f"the environment variable {variable} is not set: {purpose}"
    raise MailfleetError(problem, f"export {variable}=...")
