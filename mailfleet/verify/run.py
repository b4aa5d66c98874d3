"""Running the suite, and a user's own checks, in this process; telling what each check found."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from logging import StreamHandler
from pathlib import Path
from typing import Any, TextIO

import pytest

from mailfleet.errors import MailfleetError
from mailfleet.project.folder import checks_folder

_SUITE = Path(__file__).with_name("suite")


@dataclass(frozen=True)
class Check:
    """One check of one host."""

    host: str
    name: str
    """Subject and check, e.g. `firewall.ufw_rules`."""
    title: str
    """What has to be so, in words."""
    outcome: str
    """passed, failed or skipped; skipped only where the host cannot be read."""
    message: str
    """One line for each problem; empty where there is none."""
    own: bool = False
    """Whether it is the user's own, which may be left out where the user says so."""

    @property
    def subject(self) -> str:
        return self.name.partition(".")[0]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


PROGRESS = pytest.StashKey[Callable[[str], None]]()
"""Where the suite finds whom to tell the name of each host once it has been read."""


def run(
    inventory_path: str,
    limit: str | None,
    report: Callable[[Check], None],
    progress: Callable[[str, TextIO], None] = lambda _name, _stream: None,
) -> list[Check]:
    """Run all checks and return them; `report` hears of each as it ends, `progress` of each host read.

    pytest captures what is printed meanwhile, but for what `progress` writes to its stream, and the log.
    The suite's checks come first, then those in the user's `checks/`. MailfleetError where they cannot
    be run, such as for a mistake in a file of the user's. KeyboardInterrupt passes through.
    """
    from mailfleet.verify.suite import plugin

    options = ["--inventory", inventory_path, *(["--limit", limit] if limit else [])]
    own = checks_folder(inventory_path)
    if own.is_dir():
        # So that they can import what they share.
        options += [str(own), f"--override-ini=pythonpath={own}"]
    with _own_options(), _stderr() as stream:
        collector = _Collector(report, lambda name: progress(name, stream))
        code = pytest.main([*_ARGUMENTS, *options], plugins=[collector, plugin])
    if code == pytest.ExitCode.INTERRUPTED and not collector.faults:
        raise KeyboardInterrupt
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or collector.faults:
        reason = collector.faults[0] if collector.faults else f"pytest ended with {code!s}"
        raise MailfleetError(f"the checks could not be run: {reason}")
    return collector.checks


_ARGUMENTS = [
    str(_SUITE),
    f"--rootdir={_SUITE}",
    f"--config-file={_SUITE / 'pytest.ini'}",
    "--import-mode=importlib",
    "-p",
    "no:terminal",
    "-p",
    "no:cacheprovider",
]


@contextmanager
def _own_options() -> Iterator[None]:
    """Without the plugins and options that a user's pytest has: they print where JSON belongs."""
    before = dict(os.environ)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ.pop("PYTEST_ADDOPTS", None)
    os.environ.pop("PYTEST_PLUGINS", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _stderr() -> Iterator[TextIO]:
    """stderr as it was before pytest, where the log goes too."""
    handlers = [h for h in logging.getLogger("mailfleet").handlers if isinstance(h, StreamHandler)]
    with os.fdopen(os.dup(2), "w", buffering=1) as stream:
        before = [handler.setStream(stream) for handler in handlers]
        try:
            yield stream
        finally:
            for handler, own in zip(handlers, before, strict=True):
                if own is not None:
                    handler.setStream(own)


class _Collector:
    """A pytest plugin that makes a Check of each finished test."""

    def __init__(self, report: Callable[[Check], None], progress: Callable[[str], None]) -> None:
        self.checks: list[Check] = []
        self.faults: list[str] = []
        self._report = report
        self._progress = progress

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[PROGRESS] = self._progress

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Function
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        # A test's last word is its call, unless preparing it went wrong or left it out.
        if report.when == "call" or (report.when == "setup" and not report.passed):
            name = str(getattr(item.callspec.params["machine"], "name", ""))
            # Of a user's own parameters.
            more = item.callspec.id.replace(name, "").strip("-")
            check = Check(
                host=name,
                name=f"{item.path.stem}.{item.originalname}".replace("test_", "")
                + (f"[{more}]" if more else ""),
                title=(item.function.__doc__ or "").strip(),
                outcome=report.outcome,
                message=_message(report),
                own=_SUITE not in item.path.parents,
            )
            self.checks.append(check)
            self._report(check)
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            is_ours = (_SUITE / report.nodeid).exists()
            file = report.nodeid if is_ours else f"checks/{report.nodeid}"
            self._tell(report.longreprtext, file)

    def pytest_internalerror(self, excrepr: object) -> None:
        self._tell(str(excrepr))

    def _tell(self, text: str, file: str = "") -> None:
        # The last line is the exception, behind pytest's mark for it.
        lines = [line.removeprefix("E").strip() for line in text.splitlines() if line.strip()]
        reason = lines[-1] if lines else "no reason is known"
        self.faults.append(f"{file}: {reason}" if file else reason)


def _message(report: pytest.TestReport) -> str:
    if report.passed:
        return ""
    if isinstance(report.longrepr, tuple):  # of a skipped test: file, line, reason
        return report.longrepr[2].removeprefix("Skipped: ")
    return report.longreprtext.strip()
