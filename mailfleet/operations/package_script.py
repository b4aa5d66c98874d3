"""The script that installs packages on a host, and makes room for Postfix there."""

from __future__ import annotations

from mailfleet.facts.package_locks import HOLDERS
from mailfleet.facts.packages import GUARD, GUARD_MARK
from mailfleet.host.paths import STATE

# policy-rc.d (invoke-rc.d(8)) answers 101, "not allowed", while apt runs: a mail server with Debian's
# default configuration must not answer on port 25 for even a second. The trap removes it on any end
# but a power cut; then the next run finds it and comes here again.
_BEGIN = f"""\
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
# One run at a time: apt of a run that lost its connection may still be at work.
mkdir -p {STATE}
exec 9> {STATE}/packages.lock
flock 9
log=$(mktemp)
# A guard that an operator put there comes back afterwards.
if [ -e {GUARD} ] && ! grep -qs '{GUARD_MARK}' {GUARD}; then mv {GUARD} {GUARD}.mailfleet-kept; fi
trap 'rm -f "$log" {GUARD}; [ ! -e {GUARD}.mailfleet-kept ] || mv {GUARD}.mailfleet-kept {GUARD}' EXIT
printf '#!/bin/sh\\n# {GUARD_MARK}\\nexit 101\\n' > {GUARD}
chmod 755 {GUARD}
"""

# The deploy has waited for whoever held apt before. This is for those who take a lock meanwhile, between
# two of our own commands; DPkg::Lock::Timeout would wait for one of the four locks only.
_APT = f"""\
{HOLDERS}
until=$(($(date +%s) + 300))
patiently() {{
  while :; do
    "$@" </dev/null 2> "$log" && return
    code=$?
    if ! grep -q 'ould not get lock\\|lock .*\\(is\\|was\\) locked by' "$log"; then break; fi
    if [ "$(date +%s)" -ge "$until" ]; then
      echo "apt was not free for 5 minutes; let these end or stop them, and deploy again:" >&2
      holders >&2
      break
    fi
    sleep 5
  done
  cat "$log" >&2
  return "$code"
}}
apt() {{
  patiently apt-get -qq -y -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confdef \\
    -o Dpkg::Options::=--force-confold --no-install-recommends "$@"
}}
"""

# The maintainer scripts of a package that goes ask policy-rc.d whether they may stop its service, and it
# refuses: so its units are stopped here, and what else runs its programs. What waits in its queue would
# never be delivered.
_ROOM = """\
refuse_queues() {
  for queue in /var/spool/exim4/input /var/spool/mqueue /var/spool/smtpd/queue \\
    /var/spool/nullmailer/queue /var/lib/courier/msgs /var/spool/dma; do
    [ -d "$queue" ] || continue
    case $queue in
      */exim4/*) pattern='*-H' ;;
      */mqueue) pattern='qf*' ;;
      */smtpd/*) pattern=envelopes ;;
      */courier/*) pattern='C*' ;;
      */dma) pattern='Q*' ;;
      *) pattern='*' ;;
    esac
    count=$(find "$queue" -mindepth 1 -name "$pattern" | wc -l)
    if [ "$count" -gt 0 ]; then
      echo "$count mails wait in $queue, and their mail server has to make room for Postfix: deliver or" \\
        "delete them, and deploy again" >&2
      exit 1
    fi
  done
}
end() {
  for pid in "$@"; do kill "$pid" 2>/dev/null || :; done
  for pid in "$@"; do
    for _ in $(seq 100); do
      [ -e "/proc/$pid" ] || break
      sleep 0.2
    done
    if [ -e "/proc/$pid" ]; then
      echo "the mail server with pid $pid does not end; end it with 'kill -KILL $pid', deploy again" >&2
      exit 1
    fi
  done
}
stop_unit() {
  systemctl stop "$1" 2>/dev/null || :
  systemctl reset-failed "$1" 2>/dev/null || :
}
stop_packages() {
  files=$(dpkg-query -L "$@")
  for unit in $(printf '%s\\n' "$files" | sed -n \\
    -e 's#.*/systemd/system/\\([^/@]*\\.\\(service\\|socket\\|timer\\)\\)$#\\1#p' \\
    -e 's#^/etc/init\\.d/\\(.*\\)#\\1.service#p'); do
    stop_unit "$unit"
  done
  running=
  for process in /proc/[0-9]*; do
    program=$(readlink "$process/exe" 2>/dev/null) || continue
    program=${program% (deleted)}
    if printf '%s\\n' "$files" | grep -qxF -e "$program" -e "${program#/usr}"; then
      running="$running ${process#/proc/}"
    fi
  done
  end $running
}
stop_processes() {
  for pid in $1; do
    unit=$(unit_of "$pid") || :
    case $unit in *.service) stop_unit "$unit" ;; esac
    end "$pid"
  done
}
source_of() { dpkg-query -W -f '${source:Package}' "$1"; }
"""

# $1: pids of mail servers whose package is gone; $2: packages to remove; then those to install.
# After a power cut amid an install there are packages whose dependencies were not unpacked yet: then
# the first two steps may fail, and only --fix-broken helps.
_INSTALL = """\
pids=$1 remains=$2
shift 2
patiently dpkg --configure -a --force-confdef --force-confold || :
apt update
# Another mail server makes room for Postfix, and so does all that its source brings. Whatever else would
# have to go is not ours to remove.
gone=
if [ $# -gt 0 ]; then
  gone=$(apt -s install -- "$@" | sed -n 's/^Remv \\([^ ]*\\).*/\\1/p')
  servers=
  for name in $gone; do
    case $(dpkg-query -W -f '${Provides}' "$name") in
      *mail-transport-agent*) servers="$servers $(source_of "$name") " ;;
    esac
  done
  for name in $gone; do
    case $servers in
      *" $(source_of "$name") "*) ;;
      *)
        echo "apt would remove $name to install what this host needs (see apt-get -s install $*);" \\
          "remove it yourself if you can do without it, and deploy again" >&2
        exit 1 ;;
    esac
  done
fi
if [ -n "$gone$pids" ]; then refuse_queues; fi
if [ -n "$gone" ]; then
  # As short as can be without a mail server: everything is here before the old one stops.
  apt -d install -- "$@"
  stop_packages $gone
fi
stop_processes "$pids"
if [ $# -eq 0 ] || ! apt install -- "$@"; then
  apt --fix-broken install
  [ $# -eq 0 ] || apt install -- "$@"
fi
# What only helps a mail server that is gone fails without it, by a timer of its own. It goes,
# with what its source brings.
for name in $remains; do
  if dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null | grep -q '^.i'; then
    for other in $(apt -s remove -- "$name" | sed -n 's/^Remv \\([^ ]*\\).*/\\1/p'); do
      if [ "$(source_of "$other")" != "$(source_of "$name")" ]; then
        echo "$name serves a mail server that is gone, and its timer fails from now on; apt would remove" \
          "$other with it (see apt-get -s remove $name): remove both yourself, and deploy again" >&2
        exit 1
      fi
    done
    stop_packages "$name"
    apt remove -- "$name"
  fi
done
# What has failed and is gone can only be forgotten.
systemctl list-units --state=failed --plain --no-legend |
  sed -n 's/^\\([^ ]*\\) *not-found .*/\\1/p' | xargs -r systemctl reset-failed
"""

INSTALL = _BEGIN + _APT + _ROOM + _INSTALL
"""Arguments: pids of mail servers to end, packages to remove, then the packages to install."""
