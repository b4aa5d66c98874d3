"""Wild input: whatever stands in an inventory or a domain file, a fleet or plain words come back."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailfleet.errors import ConfigurationError
from mailfleet.model import HostEntry, build_fleet
from mailfleet.model.schema import DomainTable, HostTable, InventoryTable

pytestmark = pytest.mark.unit

# Words of pydantic or Python that mean nothing to somebody who writes an inventory.
JARGON = re.compile(
    r"Input should|tuple\[|\[key\]|\||model_|_type\b|validator|instance of|pydantic|Traceback|NoneType"
)
# A slow machine is no finding.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
# No quotes and marks: what is quoted in a message is the user's own, all else is ours.
TEXTS = st.text(alphabet=st.characters(exclude_characters="|[]'\""), max_size=12)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**4000),
    st.floats(),
    TEXTS,
    st.sampled_from(["203.0.113.10", "2001:db8::1", "shop.example", "orders", "rfc2136", "a@b.c"]),
    st.binary(max_size=3),
    st.dates(),
    st.just(datetime.time(1, 2)),
    st.just(object()),
)
KEYS = st.one_of(
    st.sampled_from(
        sorted({*DomainTable.model_fields, *HostTable.model_fields, *InventoryTable.model_fields})
    ),
    st.sampled_from(["orders", "logins", "limits", "provider", "tls_port", "reports", "policy"]),
    st.text(alphabet="abcXYZ_-. é", max_size=5),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(KEYS, inner, max_size=4),
        st.dictionaries(st.one_of(st.integers(), st.none(), st.tuples(TEXTS)), inner, max_size=2),
    ),
    max_leaves=12,
)
TABLES = st.dictionaries(KEYS, VALUES, max_size=5)


@PATIENT
@given(TEXTS, VALUES, TABLES, TABLES)
def test_no_input_ends_in_anything_but_a_fleet_or_plain_words(
    name: str, data: object, options: dict[str, Any], content: dict[str, Any]
) -> None:
    hosts = [HostEntry("eu", name, data), HostEntry("eu", "mta1.shop.example", data)]
    files = {"shop.example": ("dns/shop.example.toml", content)}
    try:
        build_fleet("inventories/prod", hosts, options, files, [])
    except ConfigurationError as error:
        for problem in error.problems:
            assert problem.file in ("inventories/prod", "dns/shop.example.toml")
            assert problem.text
            assert not re.search(r"[|\[]", problem.key), problem
            assert not JARGON.search(re.sub("'[^']*'", "", problem.text)), problem


@PATIENT
@given(VALUES)
def test_every_key_of_every_table_takes_any_value(value: object) -> None:
    domain = dict.fromkeys(DomainTable.model_fields, value)
    host = dict.fromkeys(HostTable.model_fields, value)
    options = dict.fromkeys(InventoryTable.model_fields, value)
    with pytest.raises(ConfigurationError) as error:
        build_fleet(
            "inventories/prod",
            [HostEntry("eu", "mta1.shop.example", host)],
            options,
            {"shop.example": ("dns/shop.example.toml", domain)},
            [],
        )
    # No value suits all keys of a table, so each of the three has something to say.
    texts = [str(problem) for problem in error.value.problems]
    assert any(text.startswith("dns/shop.example.toml: ") for text in texts)
    assert any(text.startswith("inventories/prod: host mta1.shop.example: ") for text in texts)
