"""Reading `dns/<domain>.toml`: from the names that an inventory lists to parsed tables."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from mailfleet.errors import Problem
from mailfleet.model.names import domain_name
from mailfleet.project.encoding import NUMBER_FAULT, line_of_number, mark_fault

DomainFiles = dict[str, tuple[str, dict[str, Any]]]
"""For each domain the path as a user writes it, and the file's content."""


def read_domain_files(
    source: str, folder: Path, declared: object, problems: list[Problem]
) -> DomainFiles:
    """The readable files of the declared domains; `problems` gets what is wrong with the others.

    `source` is the inventory that declares them. What is no domain name at all is left to the
    inventory's own table, which reports it.
    """
    files: DomainFiles = {}
    seen = set()
    for text in declared if isinstance(declared, (list, tuple)) else ():
        if not isinstance(text, str):
            continue
        try:
            name = domain_name(text)
        except ValueError:
            continue
        if name in seen:
            problems.append(Problem(source, "domains", f"{name} is listed twice; remove one"))
            continue
        seen.add(name)
        content = _read(source, folder, name, problems)
        if content is not None:
            files[name] = content
    return files


def _read(
    source: str, folder: Path, name: str, problems: list[Problem]
) -> tuple[str, dict[str, Any]] | None:
    path = f"{folder.name}/{name}.toml"
    try:
        content = (folder / f"{name}.toml").read_bytes()
        if fault := mark_fault(content):
            problems.append(Problem(path, "line 1", fault))
            return None
        return path, tomllib.loads(content.decode())
    except FileNotFoundError:
        text = f"{path} does not exist; write it, or remove {name} from domains"
        problems.append(Problem(source, "domains", text))
    except OSError as error:
        problems.append(Problem(path, "", f"cannot be read: {error.strerror}"))
    except tomllib.TOMLDecodeError as error:
        problems.append(Problem(path, "", f"is not valid TOML: {error}"))
    except UnicodeDecodeError:
        problems.append(Problem(path, "", "is not UTF-8 text; save it as UTF-8"))
    except ValueError:  # the only other one: a number of more digits than Python converts
        problems.append(Problem(path, line_of_number(content), NUMBER_FAULT))
    except RecursionError:
        problems.append(Problem(path, "", "is nested too deeply to be a domain file"))
    return None
