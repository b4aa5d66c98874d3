"""SSH: keys only, and no way to lock the operator out."""

from __future__ import annotations

from mailfleet.facts.connection import CONNECTION
from mailfleet.facts.sshd import EXCEPTIONS
from mailfleet.host.paths import SSHD_DROP_IN
from mailfleet.host.state import Action, Check, ConfigFile, HostState, Listener
from mailfleet.host.target import Target
from mailfleet.host.templates import render

_GENERATOR = "/etc/systemd/system-generators/systemd-ssh-generator"
# Some are there in a container or a virtual machine only.
_CLOSE_SOCKETS = (
    "systemctl daemon-reload;"
    " systemctl list-units --plain --no-legend 'sshd-unix-*.socket' 'sshd-vsock.socket'"
    " | cut -d' ' -f1 | xargs -r systemctl stop; rm -rf /run/ssh-unix-local"
)
_KEY_EXCHANGE = (
    "sntrup761x25519-sha512@openssh.com",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
)


def desired(target: Target) -> HostState:
    """sshd's settings and its port. The daemon itself is as the host came: enabled in its own way."""
    release = target.release
    text = render(
        "etc/ssh/sshd_config.d/10-mailfleet.conf",
        key_exchange=(
            *(("mlkem768x25519-sha256",) if release.has_ssh_mlkem else ()),
            *_KEY_EXCHANGE,
        ),
        exempt=target.fleet.own_networks if release.has_ssh_penalties else (),
    )
    return HostState(
        files=(
            ConfigFile(SSHD_DROP_IN, text, mode=0o600, affects=("sshd",)),
            # An empty file masks a generator (systemd.generator(7)): this one would make sockets of
            # sshd, for every local user and for the hypervisor, besides the port.
            *(
                (ConfigFile(_GENERATOR, "", affects=("ssh-sockets",)),)
                if release.has_ssh_generator
                else ()
            ),
        ),
        checks=(Check("SSH", _CHECK), Check("the operator's key", _CHECK_KEY)),
        # Sessions go on. Where systemd starts sshd for the first connection, there may be none.
        actions=(
            Action("sshd", "systemctl try-reload-or-restart ssh.service"),
            *((Action("ssh-sockets", _CLOSE_SOCKETS),) if release.has_ssh_generator else ()),
        ),
        listeners=(Listener("SSH", "tcp", target.host.ssh_port, served_by="host"),),
    )


# All files together, as sshd would read them afterwards.
_CHECK = (
    f"{EXCEPTIONS}\n"
    + """\
folder=$CHECK/etc/ssh/sshd_config.d
mkdir -p "$folder" /run/sshd
cp /etc/ssh/sshd_config.d/*.conf "$folder" 2>/dev/null || :
cp "$STAGE/etc/ssh/sshd_config.d/10-mailfleet.conf" "$folder"
sed "s|/etc/ssh/sshd_config.d/|$folder/|" /etc/ssh/sshd_config > "$CHECK/etc/ssh/sshd_config"
sshd -t -f "$CHECK/etc/ssh/sshd_config"
sshd -T -f "$CHECK/etc/ssh/sshd_config" > "$CHECK/sshd"
for wanted in "authenticationmethods publickey" "passwordauthentication no" \
  "kbdinteractiveauthentication no"; do
  if ! grep -qx "$wanted" "$CHECK/sshd"; then
    echo "sshd would still have '$(grep "^${wanted% *} " "$CHECK/sshd")', expected '$wanted':" \
      "put 'Include /etc/ssh/sshd_config.d/*.conf' first in /etc/ssh/sshd_config, and remove the" \
      "setting from files there that sort before 10-mailfleet.conf"
    exit 1
  fi
done
found=$(exceptions "$CHECK/etc/ssh/sshd_config" "$folder"/*.conf)
if [ -n "$found" ]; then
  echo "sshd would still let somebody in without a key: $found; remove that AuthenticationMethods"
  exit 1
fi"""
)

# Whoever deploys must be able to come back. journalctl is asked for the login of this very connection.
_CHECK_KEY = (
    f"{CONNECTION}\n"
    + """\
user=${SUDO_USER:-$(id -un)}
refuse() {
  echo "$1; after this deploy SSH takes keys only, and nobody could log in as $user:" \
    "add your key with 'ssh-copy-id $user@$(hostname)', name it as ssh_key in the host's data," \
    "and deploy again"
  exit 1
}
if [ -n "$from" ]; then
  set -- $from
  login=$(journalctl -q -r -n 1 -o cat --since=-7days -t sshd -t sshd-session \
    --grep "^Accepted .* from $1 port $2 " 2>/dev/null || :)
  case $login in
    "Accepted publickey"* | "") ;;
    *) refuse "this connection was opened with a password" ;;
  esac
  home=$(getent passwd "$user" | cut -d: -f6)
  found=
  for file in $(sed -n 's/^authorizedkeysfile //p' "$CHECK/sshd"); do
    file=$(echo "$file" | sed "s|%h|$home|g; s|%u|$user|g")
    case $file in /*) ;; *) file=$home/$file ;; esac
    if grep -qs '^[^#]' "$file"; then found=yes; fi
  done
  # Keys may also come from a program or an authority.
  if grep -qE '^(authorizedkeyscommand|trustedusercakeys) /' "$CHECK/sshd"; then found=yes; fi
  [ -n "$found" ] || refuse "$user has no authorized key on this host"
fi"""
)
