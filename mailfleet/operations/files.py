"""One operation for all rendered files of a host (decision D5).

Nothing to do costs one remote command; any change costs one more, which
  1. unpacks all files into a staging folder that only root can read,
  2. runs every check on the staged files: when one fails, nothing has changed,
  3. marks the services that a differing file affects (`/var/lib/mailfleet/pending`), so that their
     reload cannot be lost even if the connection breaks right after,
  4. replaces each differing file by a rename, with owner and mode already set,
  5. removes files that an earlier run of the same set managed and this one does not.
Files of late services that run wait in a folder of their own, until `operations.services` has brought
up what those services ask: GO_LIVE puts them in place, and FINISH does what is left of step 5.
"""

from __future__ import annotations

import base64
import io
import re
import tarfile
from collections.abc import Generator, Sequence

from pyinfra import host, logger
from pyinfra.api import QuoteString, StringCommand, operation

from mailfleet.facts.files import LATE, Tree
from mailfleet.facts.services import MANAGED, PENDING
from mailfleet.host.observed import TreeState
from mailfleet.host.paths import MANAGED_FILES, PROGRAMS, STATE
from mailfleet.host.plan.files import plan_files
from mailfleet.host.plan.services import FILES
from mailfleet.host.state import Check, ConfigFile, Directory, Service

# The functions want `tree`, and in `stage` the folder with its files and lists.
_PLACE = f"""\
set -eu
umask 077
# One run at a time.
exec 9> {STATE}/lock
flock 9
tab=$(printf '\\t')
keep() {{
  [ ! -e "{STATE}/replaced$path" ] || return 0
  mkdir -p "{STATE}/replaced${{path%/*}}"
  cp -a "$path" "{STATE}/replaced$path"
}}
as_it_should_be() {{
  [ ! -L "$path" ] && [ "$(stat -c '%a %U %G' "$path" 2>/dev/null)" = "$mode $owner $group" ] \\
    && cmp -s "$stage/files$path" "$path"
}}
# Whatever is read at any time by a service that runs, and asks others.
must_wait() {{ grep -qxF "$path" "$stage/late.list" && systemctl is-active --quiet $affects; }}
# Sets `waiting` where a file is left for later; with "all", none is.
place() {{
  waiting=
  while IFS="$tab" read -r mode owner group affects path; do
    ! as_it_should_be || continue
    for name in $affects; do : > "{PENDING}/$name"; done
    if [ "$1" != all ] && must_wait; then
      waiting=yes
      continue
    fi
    (umask 022 && mkdir -p "${{path%/*}}")
    # What was here before our first deploy is the operator's.
    if [ -e "$path" ] && ! grep -qsxF "$path" "{MANAGED_FILES}/$tree"; then keep; fi
    cp -p "$stage/files$path" "$path.mailfleet-new"
    mv -fT "$path.mailfleet-new" "$path"
  done < "$stage/files.list"
}}
# Folders of our own programs are ours, too.
remove() {{
  rm -f "$path"
  folder=${{path%/*}}
  case $folder in
    {PROGRAMS}/*)
      [ ! -d "$folder" ] \\
        || (cd {PROGRAMS} && rmdir -p --ignore-fail-on-non-empty "${{folder#{PROGRAMS}/}}") ;;
  esac
}}
finish() {{
  while read -r path; do remove; done < "$stage/late-stale.list"
  cut -f5 "$stage/files.list" > "$stage/managed"
  mv "$stage/managed" "{MANAGED_FILES}/$tree"
  rm -rf "$stage"
}}
"""

_WAITING = f"""\
{_PLACE}
for stage in {LATE}/*; do
  [ -d "$stage" ] || continue
  tree=${{stage##*/}}
"""
GO_LIVE = f"{_WAITING}  place all\ndone\n"
"""Shell: put the files in place that wait."""
FINISH = f"{_WAITING}  finish\ndone\n"
"""Shell: forget that they waited, and remove what the services read until then."""

_INSTALL = f"""\
umask 077
mkdir -p {MANAGED_FILES} {PENDING}
{_PLACE}
tree=$1
# What a host that lost its power left in staging holds password hashes.
rm -rf {STATE}/stage.*
stage=$(mktemp -d {STATE}/stage.XXXXXXXX)
trap 'rm -rf "$stage"' EXIT
base64 -d | tar -xz -C "$stage"
STAGE=$stage/files CHECK=$stage/check
export STAGE CHECK
mkdir -p "$CHECK/etc"
# Users that the files belong to may be new as well.
for conf in "$STAGE"/etc/sysusers.d/*.conf; do
  [ ! -e "$conf" ] || systemd-sysusers "$conf"
done
chmod -R u=rwX,go=rX "$STAGE"
while IFS="$tab" read -r mode owner group affects path; do
  chown "$owner:$group" "$STAGE$path"
  chmod "$mode" "$STAGE$path"
done < "$stage/files.list"
if ! sh -eu "$stage/checks.sh" > "$stage/log" 2>&1; then
  sed "s|$STAGE||g; s|$CHECK||g" "$stage/log" >&2
  exit 1
fi
# A file that is immutable, or a mount of its own, cannot be replaced; then no other shall be either.
# What cannot be renamed cannot be linked: the kernel asks for the same.
: > "$stage/log"
while IFS="$tab" read -r mode owner group affects path; do
  if as_it_should_be; then continue; fi
  if [ ! -e "$path" ] && [ ! -L "$path" ]; then continue; fi
  rm -f "$path.mailfleet-probe"
  if LC_ALL=C ln -P "$path" "$path.mailfleet-probe" 2> "$stage/reason"; then
    rm -f "$path.mailfleet-probe"
  elif grep -q " $path " /proc/self/mountinfo; then
    echo "$path is a mount of its own, which whatever runs this container keeps: let it leave the file" \\
      "alone, or unmount it" >> "$stage/log"
  else
    echo "$path cannot be replaced ($(sed 's/.*: //' "$stage/reason")): 'lsattr $path' says whether it is" \\
      "immutable, and 'chattr -i $path' ends that" >> "$stage/log"
  fi
done < "$stage/files.list"
if [ -s "$stage/log" ]; then
  cat "$stage/log" >&2
  echo "no file was changed; deploy again afterwards" >&2
  exit 1
fi
# No earlier run's files shall go live any more.
rm -rf "{LATE}/$tree" {PENDING}/{FILES}
# Of the services that are no longer wanted, those that are like the late ones stop at once: another one
# may need their ports, and what they took after the check of their queue would be lost. What they
# asked is ended last.
if [ -f {MANAGED} ]; then
  grep -vxF -f "$stage/services.list" {MANAGED} | grep -f "$stage/late-units.list" | while read -r unit; do
    systemctl disable --quiet --now "$unit" </dev/null || :
  done
fi
while IFS="$tab" read -r mode owner group path; do
  [ -d "$path" ] || mkdir -p "$path"
  chown "$owner:$group" "$path"
  # Five digits: with fewer, chmod leaves a folder its inherited setgid bit.
  chmod "00$mode" "$path"
done < "$stage/directories.list"
place early
while read -r path; do remove; done < "$stage/stale.list"
if [ -z "$waiting" ]; then
  finish
else
  mkdir -p {LATE}
  : > {PENDING}/{FILES}
  mv -T "$stage" "{LATE}/$tree"
fi
"""


@operation()
def install(
    tree: str,
    files: tuple[ConfigFile, ...],
    directories: tuple[Directory, ...] = (),
    checks: tuple[Check, ...] = (),
    services: tuple[Service, ...] = (),
    late: frozenset[str] = frozenset(),
) -> Generator[StringCommand, None, None]:
    """Make the set `tree` of files and folders exactly as given.

    The paths in `late` are left to `services.converge` while their service runs. Of the services that
    mailfleet started earlier, those that are not among `services` but like its late ones are stopped.
    """
    yield from ship(tree, files, directories, checks, services, late)


def ship(
    tree: str,
    files: tuple[ConfigFile, ...],
    directories: tuple[Directory, ...] = (),
    checks: tuple[Check, ...] = (),
    services: tuple[Service, ...] = (),
    late: frozenset[str] = frozenset(),
) -> Generator[StringCommand, None, None]:
    """The commands of `install`, for operations that know their files only while they run."""
    paths = tuple(file.path for file in files) + tuple(d.path for d in directories)
    state: TreeState = host.get_fact(Tree, tree=tree, paths=paths)
    plan = plan_files(tree, files, directories, state)
    if plan.is_empty:
        host.noop("all files are as they should be")
        return
    for path in plan.placed:
        logger.info(f"{host.print_prefix}differs: {path}")
    for path in plan.stale:
        logger.info(f"{host.print_prefix}no longer needed: {path}")
    data = pack(files, directories, checks, plan.stale, services, late)
    archive = base64.b64encode(data).decode("ascii")
    yield StringCommand(
        "sh", "-c", QuoteString(_INSTALL), "install", QuoteString(tree), _stdin=archive
    )


def pack(
    files: tuple[ConfigFile, ...],
    directories: tuple[Directory, ...],
    checks: tuple[Check, ...],
    stale: Sequence[str],
    services: tuple[Service, ...] = (),
    late: frozenset[str] = frozenset(),
) -> bytes:
    """A gzipped tar: `files/…` under their final paths, the lists, and the checks as a script."""
    rows = [
        f"{file.mode:o}\t{file.owner}\t{file.group}\t{' '.join(file.affects) or '-'}\t{file.path}\n"
        for file in files
    ]
    folders = [f"{d.mode:o}\t{d.owner}\t{d.group}\t{d.path}\n" for d in directories]
    # What a late service has read so far, it reads until it learns of its new files.
    beside = {path.rpartition("/")[0] for path in late}
    late_stale = [path for path in stale if path.rpartition("/")[0] in beside]
    stems = sorted({re.split("[@.]", s.unit)[0] for s in services if s.late})
    script = "".join(f"# {check.name}\n{check.command}\n" for check in checks)
    members: dict[str, str | bytes] = {
        "files.list": "".join(rows).replace("\t-\t", "\t \t"),
        "directories.list": "".join(folders),
        "late.list": "".join(f"{path}\n" for path in sorted(late)),
        "late-units.list": "".join(f"^{re.escape(stem)}[@.]\n" for stem in stems),
        "late-stale.list": "".join(f"{path}\n" for path in late_stale),
        "stale.list": "".join(f"{path}\n" for path in stale if path not in late_stale),
        "services.list": "".join(f"{service.unit}\n" for service in services),
        "checks.sh": script,
        **{f"files{file.path}": file.data for file in files},
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            data = content if isinstance(content, bytes) else content.encode()
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o600
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
