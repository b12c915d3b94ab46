# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""sqlite_copy: copies are checked with the sqlite3 program, writers are other processes."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils.errors import ProjectError
from ansible_collections.cora.backup.plugins.module_utils.names import to_text
from ansible_collections.cora.backup.plugins.module_utils.sqlite_copy import (
    DatabaseCopy,
    check_integrity,
    copy_database,
    is_sqlite,
)

MODES = ("wal", "delete")

# Moves amounts between two tables for ever: only a consistent copy keeps the sum.
WRITER = """
import random, sqlite3, sys
con = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
con.execute("PRAGMA synchronous=OFF")
moves = 0
while True:
    amount = random.randrange(1000)
    con.execute("BEGIN IMMEDIATE")
    con.execute("UPDATE debit SET amount = amount - ? WHERE id = ?", (amount, random.randrange(1, 200)))
    con.execute("UPDATE credit SET amount = amount + ? WHERE id = ?", (amount, random.randrange(1, 200)))
    con.execute("COMMIT")
    moves += 1
    if moves == 20:
        print("busy", flush=True)
"""

# Dies by SIGKILL with a transaction half on disk (rollback mode) or only in the log (WAL).
CRASHER = """
import os, signal, sqlite3, sys
con = sqlite3.connect(sys.argv[1], isolation_level=None)
con.execute("PRAGMA wal_autocheckpoint=0")
con.execute("PRAGMA cache_size=5")
con.execute("INSERT INTO notes (text) VALUES ('committed before the crash')")
con.execute("BEGIN")
con.execute("UPDATE debit SET amount = amount + 1, filler = upper(filler)")
os.kill(os.getpid(), signal.SIGKILL)
"""

HOLDER = """
import sqlite3, sys
con = sqlite3.connect(sys.argv[1], isolation_level=None)
con.execute(sys.argv[2])
con.execute("SELECT count(*) FROM notes").fetchone()
con.execute("INSERT INTO notes (text) VALUES ('not committed')")
print("held", flush=True)
sys.stdin.read()
"""


def make_database(path: Path, mode: str, *, rows: int = 200, filler: int = 200) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as con:
        con.execute("PRAGMA page_size=8192")
        con.execute(f"PRAGMA journal_mode={mode}")
        con.execute("PRAGMA user_version=42")
        con.execute("PRAGMA application_id=1129271873")
        con.execute("CREATE TABLE debit (id INTEGER PRIMARY KEY, amount INTEGER, filler TEXT)")
        con.execute("CREATE TABLE credit (id INTEGER PRIMARY KEY, amount INTEGER, filler TEXT)")
        con.execute("CREATE TABLE notes (text TEXT)")
        con.execute("CREATE INDEX by_filler ON debit (filler)")
        con.execute("BEGIN")
        for table in ("debit", "credit"):
            values = ((number, f"{number:08d}" + "x" * filler) for number in range(1, rows + 1))
            con.executemany(f"INSERT INTO {table} VALUES (?, 1000, ?)", values)
        con.execute("INSERT INTO notes (rowid, text) VALUES (77, 'a rowid with gaps')")
        con.execute("COMMIT")


def ask(path: Path | str, sql: str) -> str:
    """The sqlite3 program's answer, from a file nobody uses."""
    uri = Path(path).resolve().as_uri() + "?immutable=1"
    return subprocess.run(["sqlite3", uri, sql], capture_output=True, text=True, check=True).stdout.strip()


def beside(path: Path) -> set[str]:
    return {entry.name for entry in path.parent.iterdir()}


@contextmanager
def process(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A program that has said a line, and is gone afterwards."""
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline()
        try:
            yield running
        finally:
            running.kill()


def crash(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CRASHER, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL


def copy(source: Path | str, destination: Path, lock_timeout_seconds: float = 30.0) -> DatabaseCopy:
    return copy_database(str(source), str(destination), lock_timeout_seconds=lock_timeout_seconds)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where a copy goes: a directory that must hold nothing else afterwards."""
    directory = tmp_path / "out"
    directory.mkdir()
    return directory / "copy.db"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    directory.mkdir()
    return directory


def test_databases_are_known_by_their_header(home: Path) -> None:
    make_database(home / "data", "delete")
    assert is_sqlite((home / "data").read_bytes()[:16])
    assert not is_sqlite(b"SQLite format 3")
    assert not is_sqlite(b"")


@pytest.mark.parametrize("mode", MODES)
def test_what_a_dump_would_lose_is_kept(home: Path, out: Path, mode: str) -> None:
    source = home / "a.db"
    make_database(source, mode)
    assert copy(source, out) == DatabaseCopy("online", "ok", None)
    assert ask(out, "PRAGMA user_version; PRAGMA application_id; PRAGMA page_size") == "42\n1129271873\n8192"
    assert ask(out, "SELECT rowid, text FROM notes") == "77|a rowid with gaps"
    assert ask(out, ".dump") == ask(source, ".dump")
    assert out.read_bytes()[18:20] == source.read_bytes()[18:20] == (b"\2\2" if mode == "wal" else b"\1\1")
    assert beside(out) == {"copy.db"}
    assert beside(source) == {"a.db"}
    assert out.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", MODES)
def test_a_busy_writer_of_a_40_mb_database_never_gets_into_the_copy(home: Path, out: Path, mode: str) -> None:
    source = home / "busy.db"
    make_database(source, mode, rows=200, filler=65_000)
    assert source.stat().st_size > 38_000_000
    with process(WRITER, str(source)) as writer:
        for _unused in range(3):
            began = ask_live(source)
            done = copy(source, out)
            assert done == DatabaseCopy("online", "ok", None)
            assert ask(out, "SELECT (SELECT sum(amount) FROM debit) + (SELECT sum(amount) FROM credit)") == "400000"
            assert ask(out, "PRAGMA integrity_check") == "ok"
            assert beside(out) == {"copy.db"}
        assert writer.poll() is None
        wait_for_change(source, began)  # the writer is alive and was only held up for a moment


def ask_live(path: Path) -> str:
    with closing(sqlite3.connect(path, timeout=60)) as con:
        return str(con.execute("SELECT sum(amount) FROM debit").fetchone()[0])


def wait_for_change(path: Path, before: str) -> None:
    for _unused in range(600):
        if ask_live(path) != before:
            return
        time.sleep(0.05)
    pytest.fail("the writer did not go on")


@pytest.mark.parametrize("mode", MODES)
def test_what_a_crashed_writer_left_is_recovered_in_the_copy_only(home: Path, out: Path, mode: str) -> None:
    source = home / "crashed.db"
    make_database(source, mode, rows=2000)
    crash(source)
    left = {path.name: path.read_bytes() for path in home.iterdir() if not path.name.endswith("-shm")}
    assert set(left) == {"crashed.db", "crashed.db-wal" if mode == "wal" else "crashed.db-journal"}
    names = beside(source)
    done = copy(source, out)
    assert done.integrity == "ok"
    assert done.method == ("online" if mode == "wal" else "recovered")
    assert ask(out, "SELECT count(*) FROM notes; SELECT sum(amount) FROM debit") == "2\n2000000"
    assert beside(out) == {"copy.db"}
    assert beside(source) == names
    assert {name: (home / name).read_bytes() for name in left} == left


def test_a_log_without_its_index_is_recovered_and_no_index_appears(home: Path, out: Path) -> None:
    source = home / "restored.db"
    make_database(source, "wal", rows=2000)
    crash(source)
    (home / "restored.db-shm").unlink()
    done = copy(source, out)
    assert (done.method, done.integrity) == ("recovered", "ok")
    assert done.warning is not None
    assert ask(out, "SELECT count(*) FROM notes; SELECT sum(amount) FROM debit") == "2\n2000000"
    assert beside(source) == {"restored.db", "restored.db-wal"}


@pytest.mark.parametrize("mode", MODES)
def test_a_database_locked_for_ever_is_still_kept(home: Path, out: Path, mode: str) -> None:
    source = home / "locked.db"
    make_database(source, mode)
    begin = "BEGIN EXCLUSIVE" if mode == "delete" else "PRAGMA locking_mode=EXCLUSIVE"
    with process(HOLDER, str(source), begin):
        done = copy(source, out, lock_timeout_seconds=0.3)
    assert (done.method, done.integrity) == ("recovered", "ok"), done.warning
    assert done.warning is not None
    assert "locked" in done.warning
    assert ask(out, "SELECT count(*) FROM debit") == "200"


def test_waiting_for_a_lock_ends_when_it_is_released(home: Path, out: Path) -> None:
    source = home / "slow.db"
    make_database(source, "delete")
    code = HOLDER.replace("sys.stdin.read()", "import time; time.sleep(1); con.execute('COMMIT')")
    with process(code, str(source), "BEGIN EXCLUSIVE"):
        done = copy(source, out, lock_timeout_seconds=60)
    assert done == DatabaseCopy("online", "ok", None)
    assert ask(out, "SELECT count(*) FROM notes") == "2"


@pytest.mark.parametrize("kind", ["encrypted", "truncated", "overwritten"])
def test_what_sqlite_cannot_read_is_kept_byte_for_byte(home: Path, out: Path, kind: str) -> None:
    source = home / "broken.db"
    make_database(source, "delete", rows=2000)
    content = source.read_bytes()
    if kind == "encrypted":
        content = os.urandom(len(content))
    elif kind == "truncated":
        content = content[: len(content) // 2 + 100]
    else:
        content = content[:100] + os.urandom(len(content) - 100)
    source.write_bytes(content)
    done = copy(source, out)
    assert done.integrity != "ok"
    assert done.warning is not None
    assert str(source) in done.warning
    if kind != "overwritten":
        assert done.method == "plain"
    # SQLite renews two counters in the header of a copy it makes itself.
    assert out.read_bytes()[100:] == content[100:]
    assert beside(out) == {"copy.db"}
    assert beside(source) == {"broken.db"}


def test_an_empty_file_stays_empty(home: Path, out: Path) -> None:
    (home / "empty.db").touch()
    done = copy(home / "empty.db", out)
    assert done.integrity == "ok"
    assert out.read_bytes() == b""


def test_damage_in_an_index_is_reported_from_the_copy(home: Path, out: Path) -> None:
    source = home / "damaged.db"
    make_database(source, "delete", rows=500)
    root = int(ask(source, "SELECT rootpage FROM sqlite_master WHERE name = 'by_filler'"))
    with source.open("r+b") as file:
        file.seek((root - 1) * 8192)
        file.write(b"\xff" * 64)
    done = copy(source, out)
    assert done.integrity != "ok"
    assert done.warning is not None
    assert ask(out, "SELECT count(*) FROM credit") == "500"


def test_any_name_a_file_can_have(home: Path, out: Path) -> None:
    names = [b"a?b#c%41.db", b"new\nline.db", b"not-utf8-\xff\xfe.db", b"quo'te\".db", "ünï.db".encode(), b" x "]
    for name in names:
        for mode in MODES:
            raw = os.fsencode(home) + b"/" + name + mode.encode()
            template = home / "template"
            make_database(template, mode)
            os.rename(template, raw)
            assert copy(to_text(raw), out) == DatabaseCopy("online", "ok", None), name
            assert ask(out, "SELECT count(*) FROM debit") == "200"
            assert check_integrity(to_text(raw)) == "ok"


def test_paths_longer_than_sqlite_takes(home: Path, out: Path) -> None:
    deep = home / "/".join(["d" * 200] * 4)
    deep.mkdir(parents=True)
    template = home / "template"
    make_database(template, "delete")
    template.rename(deep / "far.db")
    done = copy(deep / "far.db", out)
    assert (done.method, done.integrity) == ("recovered", "ok")
    assert copy(out, deep / "back.db").method == "online"
    assert check_integrity(str(deep / "back.db")) == "ok"
    assert beside(deep / "back.db") == {"far.db", "back.db"}


def test_links_devices_and_replaced_files_are_refused(home: Path, out: Path) -> None:
    make_database(home / "real.db", "delete")
    (home / "link.db").symlink_to("real.db")
    os.mkfifo(home / "pipe.db")
    for name in ("link.db", "pipe.db"):
        with pytest.raises(ProjectError, match="not a regular file"):
            copy(home / name, out)
    with pytest.raises(ProjectError, match="was replaced"):
        copy_database(str(home / "real.db"), str(out), lock_timeout_seconds=1, expected_inode=(1, 1))
    with pytest.raises(FileNotFoundError):
        copy(home / "absent.db", out)
    status = (home / "real.db").stat()
    seen = (status.st_dev, status.st_ino)
    assert (
        copy_database(str(home / "real.db"), str(out), lock_timeout_seconds=1, expected_inode=seen).method == "online"
    )


def test_another_database_slipped_in_while_opening_is_not_copied(
    home: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who owns the directory swaps it for a link to a database that only root may read, and back."""
    (home / "mine").mkdir()
    (home / "secret").mkdir()
    make_database(home / "mine" / "a.db", "delete")
    make_database(home / "secret" / "a.db", "delete")
    connect = sqlite3.connect

    def swap_around(*args: object, **options: object) -> sqlite3.Connection:
        (home / "mine").rename(home / "aside")
        (home / "mine").symlink_to("secret")
        connection: sqlite3.Connection = connect(*args, **options)  # type: ignore[call-overload]
        (home / "mine").unlink()
        (home / "aside").rename(home / "mine")
        return connection

    monkeypatch.setattr(sqlite3, "connect", swap_around)
    with pytest.raises(ProjectError, match="was replaced"):
        copy(home / "mine" / "a.db", out)
    assert not out.exists()


def test_a_journal_that_is_a_link_is_not_followed(home: Path, out: Path) -> None:
    make_database(home / "a.db", "delete", rows=2000)
    crash(home / "a.db")
    (home / "a.db-journal").rename(home / "elsewhere")
    (home / "a.db-journal").symlink_to("elsewhere")
    done = copy(home / "a.db", out)
    assert done.method != "recovered"
    assert done.warning is not None


@pytest.mark.parametrize("mode", MODES)
def test_a_foreign_owner_keeps_everything_that_is_his(mode: str) -> None:
    """Root reads somebody else's database: nothing new appears beside it, and nothing changes hands."""
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory) / "his"
        home.mkdir()
        source = home / "a.db"
        make_database(source, mode)
        if os.geteuid() == 0:
            for path in (home, source):
                os.chown(path, 12345, 23456)
        before = sorted((path.name, path.stat().st_uid, path.stat().st_mtime_ns) for path in home.iterdir())
        assert copy(source, Path(directory) / "copy.db") == DatabaseCopy("online", "ok", None)
        assert sorted((path.name, path.stat().st_uid, path.stat().st_mtime_ns) for path in home.iterdir()) == before


@pytest.mark.slow
def test_a_copy_begun_while_a_writer_opens_and_closes_stays_consistent(home: Path, out: Path) -> None:
    source = home / "cron.db"
    make_database(source, "wal", filler=5000)
    reopen = "con.close(); con = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)"
    code = WRITER.replace("while True:\n", f"while True:\n    {reopen}\n")
    with process(code, str(source)):
        for _unused in range(20):
            done = copy(source, out)
            assert done.integrity == "ok"
            assert done.method != "plain", done.warning
            assert ask(out, "SELECT (SELECT sum(amount) FROM debit) + (SELECT sum(amount) FROM credit)") == "400000"


def test_no_room_for_the_copy_is_an_error_and_leaves_nothing(home: Path, out: Path) -> None:
    make_database(home / "a.db", "delete")
    with pytest.raises(OSError, match="No such file or directory"):
        copy(home / "a.db", home / "absent" / "copy.db")
    assert beside(home / "a.db") == {"a.db"}


def test_integrity_is_read_from_a_sealed_file_without_a_trace(home: Path) -> None:
    make_database(home / "a.db", "wal")
    sealed = subprocess.run(["chattr", "+i", str(home / "a.db"), str(home)], check=False).returncode == 0
    try:
        if not sealed:  # not root: take the right to write away, which is all there is
            (home / "a.db").chmod(0o400)
            home.chmod(0o500)
        assert check_integrity(str(home / "a.db")) == "ok"
        assert beside(home / "a.db") == {"a.db"}
    finally:
        subprocess.run(["chattr", "-i", str(home), str(home / "a.db")], check=False, capture_output=True)
        home.chmod(0o700)


def test_an_index_in_an_order_only_the_application_knows_is_no_damage(home: Path) -> None:
    path = home / "own.db"
    with closing(sqlite3.connect(path)) as con:
        con.create_collation("mine", lambda one, two: (one > two) - (one < two))
        con.create_function("shout", 1, str.upper, deterministic=True)
        con.execute("CREATE TABLE t (a TEXT COLLATE mine, b TEXT)")
        con.execute("CREATE INDEX i ON t (a)")
        con.execute("CREATE INDEX j ON t (shout(b))")
        con.execute("INSERT INTO t VALUES ('x', 'y')")
        con.commit()
    assert check_integrity(str(path)) == "ok"


def test_a_missing_or_foreign_file_has_no_integrity(home: Path) -> None:
    assert check_integrity(str(home / "absent")) != "ok"
    (home / "text").write_text("not a database, " * 100)
    assert check_integrity(str(home / "text")) != "ok"
