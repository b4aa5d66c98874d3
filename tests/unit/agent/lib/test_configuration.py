"""A program's configuration: what a role writes, the program reads, and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.certificate.config import Config, Lineage
from agent.lib.configuration import ConfigurationError, dump, load

pytestmark = pytest.mark.unit


@dataclass(frozen=True)
class Sets:
    names: frozenset[str]
    count: int
    on: bool = False


CERTIFICATE = Config(
    names=("mta1.shop.example",),
    lineages=(Lineage("mta1.shop.example", "ecdsa"), Lineage("mta1.shop.example-rsa", "rsa")),
    directory="https://ca.example/dir",
    contact=None,
    addresses=(),
    units=("nginx.service",),
)
GOOD = {"names": ["b", "a"], "count": 3}


def read(kind: Any, value: object, folder: Path) -> Any:
    file = folder / "x.json"
    file.write_text(json.dumps(value))
    return load(kind, str(file))


@pytest.mark.parametrize("config", [CERTIFICATE, Sets(frozenset("ba"), 3, on=True)])
def test_what_a_role_writes_the_program_reads(config: Any, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(dump(config))
    assert load(type(config), str(file)) == config


def test_equal_configurations_have_equal_texts() -> None:
    names = [f"n{number}.example" for number in range(50)]
    assert dump(Sets(frozenset(names), 1)) == dump(Sets(frozenset(reversed(names)), 1))


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({**GOOD, "count": "3"}, "count is '3', expected int"),
        ({**GOOD, "count": True}, "count is True, expected int"),
        ({**GOOD, "on": None}, "on is None, expected bool"),
        ({**GOOD, "names": ["a", 1]}, "names[1] is 1, expected str"),
        ({**GOOD, "names": "ab"}, "names is 'ab', expected frozenset"),
        ({**GOOD, "more": 1, "else": 2}, "configuration has else, more, which this version does"),
        ({"names": []}, "configuration lacks count"),
        ([], "configuration is [], expected Sets"),
    ],
)
def test_a_wrong_configuration_names_file_and_key(
    value: object, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as error:
        read(Sets, value, tmp_path)
    assert str(error.value).startswith(f"{tmp_path}/x.json: {problem}")


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("{")
    for path in (tmp_path / "none", tmp_path / "broken", tmp_path):
        with pytest.raises(ConfigurationError, match=str(path)):
            load(Sets, str(path))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(list(GOOD)), inner),
    max_leaves=8,
)


@given(value=_JSON)
def test_whatever_it_is_it_is_read_or_refused(
    value: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    try:
        config = read(Sets, value, tmp_path_factory.getbasetemp())
    except ConfigurationError:
        return
    assert isinstance(config.names, frozenset)
    assert type(config.count) is int
