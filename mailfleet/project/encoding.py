"""How files of a user are encoded: UTF-8 without a byte order mark, which pyinfra and TOML demand."""

from __future__ import annotations

import codecs

_MARKS = {
    codecs.BOM_UTF8: "a byte order mark (BOM); save it as UTF-8 without one",
    codecs.BOM_UTF16_LE: "the byte order mark of UTF-16; save it as UTF-8",
    codecs.BOM_UTF16_BE: "the byte order mark of UTF-16; save it as UTF-8",
}


def mark_fault(content: bytes) -> str:
    """What is wrong with the first bytes of a text file; empty where nothing is.

    Editors hide such a mark, so that the error of the parser points at a line without a fault.
    """
    faults = [text for mark, text in _MARKS.items() if content.startswith(mark)]
    return f"begins with {faults[0]}" if faults else ""
