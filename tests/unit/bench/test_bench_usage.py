"""Whether a mail was on the disk before its 250, as strace tells it."""

from __future__ import annotations

import pytest

from bench.usage import syncs

pytestmark = pytest.mark.unit

POSTFIX = r"""
71 write(9, "354 End data with <CR><LF>.<CR><LF>\r\n", 37) = 37
80 fdatasync(5 <unfinished ...>
71 sendto(12, "\0\0\0\r", 4, 0, NULL, 0) = 4
80 <... fdatasync resumed>)              = 0
80 fsync(17)                             = 0
71 write(9, "250 2.0.0 Ok: queued as 3A\r\n", 28) = 28
80 fsync(17)                             = 0
71 write(9, "221 2.0.0 Bye\r\n", 15)     = 15
"""
EXIM = r"""
90 sendto(7, "354 Enter message, ending with \".\""..., 56, 0, NULL, 0) = 56
90 fsync(8) = -1 EIO (Input/output error)
90 sendto(7, "250 OK id=1t\r\n", 14, 0, NULL, 0) = 14
"""
HARAKA = r"""
55 writev(20, [{iov_base="354 go ahead, make my day\r\n", iov_len=27}], 1) = 27
61 fsync(23)                             = 0
55 write(20</x>, "250 Message Queued\r\n", 20) = 20
55 write(20, "354 go ahead\r\n", 14) = 14
55 write(20, "451 no\r\n", 8) = 8
"""


@pytest.mark.parametrize(
    ("trace", "expected"), [(POSTFIX, [2]), (EXIM, [0]), (HARAKA, [1]), ("", [])]
)
def test_only_what_ended_between_the_354_and_its_reply_counts(
    trace: str, expected: list[int]
) -> None:
    assert syncs(trace) == expected
