"""The wrong ends of a message that some server, somewhere, takes for the end (CVE-2023-51764).

Those that hannob/smtpsmug tries. A server that takes one for the end, where the server before it did
not, reads what follows as commands: a second mail, which nobody has checked. Pure.
"""

from __future__ import annotations

ENDS = {
    "LF.LF": "\n.\n",
    "CR.CR": "\r.\r",
    "CR.LF": "\r.\n",
    "LF.CR": "\n.\r",
    "LF.CRLF": "\n.\r\n",
    "CRLF.LF": "\r\n.\n",
    "CR.CRLF": "\r.\r\n",
    "CRLF.CR": "\r\n.\r",
    "NUL before the dot": "\r\n\0.\r\n",
    "NUL after the dot": "\r\n.\0\r\n",
}
