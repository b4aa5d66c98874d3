"""agent/maildirs/main.py: what it deletes, what it counts, what Postfix learns."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from agent.maildirs import main as maildirs

pytestmark = pytest.mark.unit

DAY = 86_400
NOW = 100 * DAY


def mail(folder: Path, name: str, days: float, size: int = 10) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (NOW - days * DAY, NOW - days * DAY))
    return path


def test_old_mail_goes_and_young_mail_stays(tmp_path: Path) -> None:
    old = [mail(tmp_path, f"shop.test/{part}/old", 31) for part in ("new", "cur")]
    cut_off = mail(tmp_path, "shop.test/tmp/cut-off", 2)
    kept = [
        mail(tmp_path, "shop.test/new/young", 29),
        mail(tmp_path, "shop.test/tmp/being-written", 0.1),
        mail(tmp_path, "shop.test/notes", 400),
    ]
    assert maildirs.expire(tmp_path, 30, NOW) == 3
    assert [path for path in (*old, cut_off) if path.exists()] == []
    assert all(path.exists() for path in kept)


def test_what_a_reader_has_filed_stays_and_counts(tmp_path: Path) -> None:
    """Folders as Maildir++ has them, and as Dovecot's `LAYOUT=fs` has them."""
    filed = [
        mail(tmp_path, f"shop.test/{folder}/{part}/old", 400, 100_000)
        for folder in (".Archive", ".Archive.2026", "Archive/2026")
        for part in ("new", "cur")
    ]
    cut_off = mail(tmp_path, "shop.test/.Sent/tmp/cut-off", 2)
    assert maildirs.expire(tmp_path, 30, NOW) == 1
    assert all(path.exists() for path in filed)
    assert not cut_off.exists()
    assert 600_000 <= maildirs.size(tmp_path) <= 700_000
    mail(tmp_path, "shop.test/dovecot.index.cache", 400, 100_000)
    assert maildirs.size(tmp_path) >= 700_000


def test_mail_of_before_the_first_run_is_kept_as_long_as_new_mail(tmp_path: Path) -> None:
    """An upgrade must not delete what nobody ever said would be deleted."""
    old = mail(tmp_path, "shop.test/new/old", 400)
    since = NOW - 29 * DAY
    assert maildirs.expire(tmp_path, 30, NOW, since) == 0
    assert old.exists()
    assert maildirs.expire(tmp_path, 30, NOW + 2 * DAY, since) == 1
    assert not old.exists()


def test_the_first_run_is_written_down(tmp_path: Path) -> None:
    mark = tmp_path / maildirs.MARK
    now = time.time()
    assert maildirs.begun(mark, now) == now
    assert maildirs.begun(mark, now + 5 * DAY) == pytest.approx(now, abs=60)
    # A clock that was ahead at the first run.
    os.utime(mark, (now + 400 * DAY, now + 400 * DAY))
    assert maildirs.begun(mark, now) == now
    assert maildirs.begun(mark, now + DAY) < now + DAY


def test_no_link_leads_out_of_the_maildirs(tmp_path: Path) -> None:
    outside = mail(tmp_path, "elsewhere/file", 400)
    (tmp_path / "mail/shop.test/new").mkdir(parents=True)
    (tmp_path / "mail/shop.test/new/link").symlink_to(outside)
    (tmp_path / "mail/shop.test/.Archive").symlink_to(tmp_path / "elsewhere")
    outside.write_bytes(b"x" * 100_000)
    assert maildirs.expire(tmp_path / "mail", 30, NOW) == 0
    assert maildirs.size(tmp_path / "mail") < 50_000
    assert outside.exists()


def test_all_maildirs_count_together(tmp_path: Path) -> None:
    assert maildirs.size(tmp_path) == 0
    for name in ("a.test/new/1", "a.test/cur/2", "b.test/tmp/3"):
        mail(tmp_path, name, 0, 100_000)
    assert 300_000 <= maildirs.size(tmp_path) <= 400_000


@pytest.fixture
def postmap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for postmap(1): keeps its source as the table, and writes down that it ran."""
    program = tmp_path / "postmap"
    program.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = -q ]; then sed -n "s/^$2\\t//p" "${3#lmdb:}.lmdb"; exit; fi\n'
        'cp "${1#lmdb:}" "${1#lmdb:}.lmdb"; echo ran >> "${0}.log"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(maildirs, "POSTMAP", str(program))
    return program


def test_postfix_learns_what_is_new_to_it(tmp_path: Path, postmap: Path) -> None:
    table = tmp_path / "full"
    log = Path(f"{postmap}.log")
    # The table has to be there, though there is nothing to say.
    assert maildirs.tell(table, "full", False)
    assert not maildirs.tell(table, "full", False)
    assert maildirs.tell(table, "full", True)
    assert Path(f"{table}.lmdb").read_text() == f"full\t{maildirs.ANSWER}\n"
    assert not maildirs.tell(table, "full", True)
    assert maildirs.tell(table, "full", False)
    assert log.read_text().splitlines() == ["ran"] * 3
    # Somebody changed the table by hand.
    Path(f"{table}.lmdb").write_text("full\tREJECT\n")
    assert maildirs.tell(table, "full", False)


def test_senders_try_again(tmp_path: Path) -> None:
    assert maildirs.ANSWER.startswith("452 4.3.1 ")
