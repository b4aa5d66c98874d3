"""One operation for all rendered files of a host (decision D5).

Nothing to do costs one remote command; any change costs one more, which
  1. unpacks all files into a staging folder that only root can read,
  2. runs every check on the staged files: when one fails, nothing has changed,
  3. marks the services that a differing file affects (`/var/lib/mailfleet/pending`), so that their
     reload cannot be lost even if the connection breaks right after,
  4. replaces each differing file by a rename, with owner and mode already set,
  5. removes files that an earlier run of the same set managed and this one does not.
"""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from collections.abc import Generator

from pyinfra import host, logger
from pyinfra.api import QuoteString, StringCommand, operation

from mailfleet.facts.files import STATE, Tree, TreeState
from mailfleet.facts.services import MANAGED
from mailfleet.hoststate import Check, ConfigFile, Directory, Service

_INSTALL = f"""\
set -eu
umask 077
tree=$1
mkdir -p {STATE}/files {STATE}/pending
# One run at a time; what a host that lost its power left in staging holds password hashes.
exec 9> {STATE}/lock
flock 9
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
tab=$(printf '\\t')
while IFS="$tab" read -r mode owner group affects path; do
  chown "$owner:$group" "$STAGE$path"
  chmod "$mode" "$STAGE$path"
done < "$stage/files.list"
if ! sh -eu "$stage/checks.sh" > "$stage/log" 2>&1; then
  sed "s|$STAGE||g; s|$CHECK||g" "$stage/log" >&2
  exit 1
fi
keep() {{
  [ ! -e "{STATE}/replaced$path" ] || return 0
  (umask 077 && mkdir -p "{STATE}/replaced${{path%/*}}" && cp -a "$path" "{STATE}/replaced$path")
}}
as_it_should_be() {{
  [ ! -L "$path" ] && [ "$(stat -c '%a %U %G' "$path" 2>/dev/null)" = "$mode $owner $group" ] \\
    && cmp -s "$STAGE$path" "$path"
}}
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
# Services that are no longer wanted stop while their configuration is still there.
if [ -s "$stage/services.list" ] && [ -f {MANAGED} ]; then
  grep -vxF -f "$stage/services.list" {MANAGED} | while read -r unit; do
    systemctl disable --quiet --now "$unit" </dev/null || :
  done
fi
while IFS="$tab" read -r mode owner group path; do
  [ -d "$path" ] || mkdir -p "$path"
  chown "$owner:$group" "$path"
  # Five digits: with fewer, chmod leaves a folder its inherited setgid bit.
  chmod "00$mode" "$path"
done < "$stage/directories.list"
umask 022
while IFS="$tab" read -r mode owner group affects path; do
  ! as_it_should_be || continue
  for name in $affects; do : > "{STATE}/pending/$name"; done
  mkdir -p "${{path%/*}}"
  # What was here before our first deploy is the operator's.
  if [ -e "$path" ] && ! grep -qsxF "$path" "{STATE}/files/$tree"; then keep; fi
  cp -p "$STAGE$path" "$path.mailfleet-new"
  mv -fT "$path.mailfleet-new" "$path"
done < "$stage/files.list"
while read -r path; do rm -f "$path"; done < "$stage/stale.list"
cut -f5 "$stage/files.list" > "$stage/managed"
mv "$stage/managed" "{STATE}/files/$tree"
"""


@operation()
def install(
    tree: str,
    files: tuple[ConfigFile, ...],
    directories: tuple[Directory, ...] = (),
    checks: tuple[Check, ...] = (),
    services: tuple[Service, ...] = (),
) -> Generator[StringCommand, None, None]:
    """Make the set `tree` of files and folders exactly as given.

    Of the services that mailfleet started earlier, those that are not among `services` are stopped
    before their files go; none are where `services` is empty.
    """
    yield from ship(tree, files, directories, checks, services)


def ship(
    tree: str,
    files: tuple[ConfigFile, ...],
    directories: tuple[Directory, ...] = (),
    checks: tuple[Check, ...] = (),
    services: tuple[Service, ...] = (),
) -> Generator[StringCommand, None, None]:
    """The commands of `install`, for operations that know their files only while they run."""
    paths = tuple(file.path for file in files) + tuple(d.path for d in directories)
    state: TreeState = host.get_fact(Tree, tree=tree, paths=paths)
    changed = differing(files, directories, state)
    stale = sorted(state.managed - {file.path for file in files})
    # A run that was cut off after its last rename has not written down what it manages.
    unwritten = {file.path for file in files} - state.managed
    if not changed and not stale and not unwritten:
        host.noop("all files are as they should be")
        return
    for path in changed:
        logger.info(f"{host.print_prefix}differs: {path}")
    for path in stale:
        logger.info(f"{host.print_prefix}no longer needed: {path}")
    archive = base64.b64encode(pack(files, directories, checks, stale, services)).decode("ascii")
    yield StringCommand(
        "sh", "-c", QuoteString(_INSTALL), "install", QuoteString(tree), _stdin=archive
    )


def differing(
    files: tuple[ConfigFile, ...], directories: tuple[Directory, ...], state: TreeState
) -> list[str]:
    """The paths whose kind, mode, owner, group or content is not as desired."""
    changed = []
    for directory in directories:
        now = state.paths.get(directory.path)
        wanted = ("directory", directory.mode, directory.owner, directory.group)
        if now is None or (now.kind, now.mode, now.owner, now.group) != wanted:
            changed.append(directory.path)
    for file in files:
        now = state.paths.get(file.path)
        digest = hashlib.sha256(file.content.encode()).hexdigest()
        desired = ("regular file", file.mode, file.owner, file.group, digest)
        if now is None or (now.kind, now.mode, now.owner, now.group, now.sha256) != desired:
            changed.append(file.path)
    return changed


def pack(
    files: tuple[ConfigFile, ...],
    directories: tuple[Directory, ...],
    checks: tuple[Check, ...],
    stale: list[str],
    services: tuple[Service, ...] = (),
) -> bytes:
    """A gzipped tar: `files/…` under their final paths, the lists, and the checks as a script."""
    rows = [
        f"{file.mode:o}\t{file.owner}\t{file.group}\t{' '.join(file.affects) or '-'}\t{file.path}\n"
        for file in files
    ]
    folders = [f"{d.mode:o}\t{d.owner}\t{d.group}\t{d.path}\n" for d in directories]
    script = "".join(f"# {check.name}\n{check.command}\n" for check in checks)
    members = {
        "files.list": "".join(rows).replace("\t-\t", "\t \t"),
        "directories.list": "".join(folders),
        "stale.list": "".join(f"{path}\n" for path in stale),
        "services.list": "".join(f"{service.unit}\n" for service in services),
        "checks.sh": script,
        **{f"files{file.path}": file.content for file in files},
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            data = content.encode()
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o600
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
