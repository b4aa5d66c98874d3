"""A host's key and certificate: the key is born on the host and never leaves it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator

from pyinfra import host
from pyinfra.api import OperationError, QuoteString, StringCommand, operation

from mailfleet.certificates import Authority, is_good, sign
from mailfleet.facts.files import STATE
from mailfleet.facts.tls import SigningRequest, Tls

_MODE = "640 root root"
_KEY_MODE = "600 root root"
_KEY = """\
set -eu
umask 077
mkdir -p "${1%/*}"
[ -s "$1" ] || { openssl ecparam -genkey -name prime256v1 -noout -out "$1.new"; mv "$1.new" "$1"; }
chown root:root "$1"
chmod 600 "$1"
"""
# Key first, then the certificate, in one file: both change in one rename (smtpd_tls_chain_files).
_CHAIN = """\
set -eu
umask 077
chain=$1 key=$2
shift 2
mkdir -p {state}/pending
cat "$key" - > "$chain.new"
chmod 640 "$chain.new"
openssl x509 -noout -in "$chain.new"
for unit in "$@"; do : > {state}/pending/"$unit"; done
mv "$chain.new" "$chain"
""".replace("{state}", STATE)


@operation()
def certificate(
    chain: str,
    key: str,
    names: tuple[str, ...],
    affects: tuple[str, ...],
    authority: Authority | None,
) -> Generator[StringCommand, None, None]:
    """Serve a certificate for `names` from the file `chain`; `affects` are the units that read it.

    `key` is the file of the private key alone, in the same folder.

    Signed by `authority`, or self-signed where there is none: enough for opportunistic TLS (RFC
    7435), while submission clients that check the name will refuse it.
    """
    state = host.get_fact(Tls, chain=chain, key=key)
    issuer = authority.certificate if authority else None
    now = dt.datetime.now(dt.UTC)
    guarded = (state.mode, state.key_mode) == (_MODE, _KEY_MODE)
    if guarded and is_good(state.certificate, state.public_key, names, issuer, now):
        host.noop("the certificate is good")
        return
    yield StringCommand("sh", "-c", QuoteString(_KEY), "key", QuoteString(key))
    install = StringCommand(
        "sh", "-c", QuoteString(_CHAIN), "chain", QuoteString(chain), QuoteString(key),
        *map(QuoteString, affects),
    )  # fmt: skip
    if authority is None:
        alternatives = QuoteString(",".join(f"DNS:{name}" for name in names))
        yield StringCommand(
            "openssl req -x509 -new -subj / -days 825 -key", QuoteString(key),
            "-addext", StringCommand("subjectAltName=", alternatives, _separator=""), "|", install,
        )  # fmt: skip
        return
    request = host.get_fact(SigningRequest, key=key)
    # Without a request this is a dry run: the key does not exist yet.
    try:
        issued = sign(request, names, authority, now) if request else ""
    except ValueError as error:
        raise OperationError(f"the certificate request of {key} cannot be read: {error}") from None
    yield StringCommand(*install.bits, _stdin=issued)
