"""How the whole test suite is run: alone, or by several processes side by side (pytest-xdist)."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# The first to start: these take longest, and the first of them deploys the lab that all start from.
LONGEST = ("tests/lab/test_verify.py", "tests/lab/test_lab.py", "tests/lab/test_interrupted.py")


def pytest_configure(config: pytest.Config) -> None:
    # No test measures time: a busy machine must not make one fail.
    settings.register_profile(
        "mailfleet", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("mailfleet")
    if told := getattr(config, "workerinput", None):
        from tests import labs

        labs.join(told["labs"], told["workerid"])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process how the labs of this run are called."""
    from tests import labs

    node.workerinput["labs"] = labs.of_run()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Side by side, what takes long comes first: the rest fills the gaps in the end."""
    if not hasattr(config, "workerinput"):
        return

    def rank(item: pytest.Item) -> tuple[bool, int]:
        file = item.nodeid.partition("::")[0]
        place = LONGEST.index(file) if file in LONGEST else len(LONGEST)
        return item.get_closest_marker("lab") is None, place

    items.sort(key=rank)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Remove what the processes of this run have shared."""
    manager = session.config.pluginmanager
    if manager.hasplugin("dsession"):
        from mailfleet import lab
        from tests import labs

        with contextlib.suppress(lab.LabError):
            lab.down(labs.base(), lambda _: None)
