"""What no parser should be asked about in a user's file, since its words would help nobody.

Files are UTF-8 without a byte order mark, which pyinfra and TOML demand.
"""

from __future__ import annotations

import codecs
import re

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


NUMBER_FAULT = "holds a number of thousands of digits; write one that its key takes"

# Python converts no more (sys.get_int_max_str_digits), and says how to switch that off.
_NUMBER = re.compile(rb"[0-9][0-9_]{4299}")


def line_of_number(content: bytes) -> str:
    """The line of the first such number, as a key of a problem."""
    match = _NUMBER.search(content)
    return f"line {content.count(bytes([10]), 0, match.start()) + 1}" if match else ""
