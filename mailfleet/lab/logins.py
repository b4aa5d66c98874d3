"""The lab's submission logins: passwords that are derived, so that nobody has to store them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import subprocess


def password(key: str, login: str) -> str:
    """A login's password; `key` is a secret of the lab."""
    digest = hmac.new(key.encode(), f"password {login}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:18]).decode()


def password_hash(key: str, login: str) -> str:
    """Its SHA-512 crypt(3) hash; the same at every call, so that a second deploy changes nothing."""
    digest = hmac.new(key.encode(), f"salt {login}".encode(), hashlib.sha256).hexdigest()
    command = ["openssl", "passwd", "-6", "-stdin", "-salt", digest[:16]]
    done = subprocess.run(
        command, input=password(key, login), capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
