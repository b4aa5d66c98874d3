"""SPF includes to which every receiver would answer permerror (RFC 7208 §4.6.4).

What foreign records include is looked up when the records are planned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from mailfleet.errors import Problem
from mailfleet.model.fleet import Domain, Fleet

# The parts of a record that is too long for one: _spf.shop.example, _spf2.shop.example.
_PART = re.compile(r"_spf[0-9]*\.")


MOST_LOOKUPS = 10


def include_faults(fleet: Fleet, paths: Mapping[str, str]) -> Iterator[Problem]:
    """Too many includes; those of a domain's own names, and of domains that include it again."""
    for domain in fleet.domains:
        if (count := len(domain.spf.includes)) > MOST_LOOKUPS:
            text = (
                f"has {count} includes, and receivers stop at {MOST_LOOKUPS} look-ups (RFC 7208 "
                "§4.6.4); remove some"
            )
            yield Problem(paths[domain.name], "spf.includes", text)
    owners = {name: domain for domain in fleet.domains for name in _names(domain)}
    for domain in fleet.domains:
        for include in domain.spf.includes:
            target = owners.get(_PART.sub("", include, count=1), owners.get(include))
            if target is None:
                continue
            if target is domain:
                text = (
                    "is a name of the domain itself, whose record would include itself; remove it"
                )
            elif back := _way_back(target, domain, owners):
                text = f"leads back through {' and '.join(back)}; remove one of the includes"
            else:
                continue
            yield Problem(paths[domain.name], "spf.includes", f"{include} {text}")


def _names(domain: Domain) -> tuple[str, ...]:
    return (domain.name, *domain.mail_names)


def _way_back(start: Domain, end: Domain, owners: Mapping[str, Domain]) -> list[str]:
    """The domains through which the includes of `start` lead to `end`; empty where they do not."""
    ways = [[start]]
    seen = {start.name}
    while ways:
        way = ways.pop(0)
        for include in way[-1].spf.includes:
            following = owners.get(_PART.sub("", include, count=1), owners.get(include))
            if following is end:
                return [domain.name for domain in way]
            if following is not None and following.name not in seen:
                seen.add(following.name)
                ways.append([*way, following])
    return []
