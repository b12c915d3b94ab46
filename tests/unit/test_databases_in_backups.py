# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases in a backup: found by their header, consistent, complete, and judged by the sqlite3 program."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from ansible_collections.cora.backup.plugins.module_utils import project_archiver
from ansible_collections.cora.backup.plugins.module_utils.errors import ProjectError
from support.engine import Made, backup, restore
from support.tools import TAR_EXTRACT, tool
from support.trees import MIB


def make(path: Path, *, wal: bool = False, rows: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode={'wal' if wal else 'delete'}")
        connection.execute("PRAGMA user_version=42")
        connection.execute("PRAGMA application_id=4711")
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
        connection.executemany("INSERT INTO notes (text) VALUES (?)", ((f"note {n}",) for n in range(rows)))
        connection.commit()
    return path


@contextmanager
def held_open(path: Path) -> Iterator[sqlite3.Connection]:
    """A program that has written into the WAL and has the database open."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("INSERT INTO notes (text) VALUES ('only in the log')")
        connection.commit()
        yield connection


def ask(path: Path, *commands: str) -> bytes:
    """What sqlite3 says, without a file of its own beside a database that is not in use."""
    uri = f"file:{quote(str(path))}?mode=ro"
    return tool("sqlite3", uri if os.path.exists(f"{path}-wal") else f"{uri}&immutable=1", *commands)


def dump(path: Path) -> bytes:
    return ask(path, ".dump", "PRAGMA user_version;", "PRAGMA application_id;")


def extract(made: Made, target: Path) -> Path:
    target.mkdir()
    tool(*TAR_EXTRACT, made.archive, "-C", target)
    return target


@pytest.mark.parametrize("name", ["shop.db", "data.sqlite3", "no-suffix", "odd ?#%20.bin", "sub/dir/x"])
@pytest.mark.parametrize("wal", [False, True])
def test_database_is_found_by_its_header_and_kept_three_times(
    name: str, wal: bool, project: Path, vault: Path, tmp_path: Path
) -> None:
    database = make(project / name, wal=wal)
    os.chmod(database, 0o640)
    os.chown(database, 33, 34)
    os.setxattr(database, "user.note", b"kept")
    made = backup(project, vault)
    assert made.result["warnings"] == []
    assert made.report["databases"] == [{"path": name, "method": "online", "integrity": "ok"}]
    unpacked = extract(made, tmp_path / "out") / name
    for copy in (made.path / "db" / name, made.path / "critical" / name, unpacked):
        assert ask(copy, "PRAGMA integrity_check") == b"ok\n"
        assert dump(copy) == dump(database)
        assert (copy.stat().st_uid, copy.stat().st_mode & 0o777) == (33, 0o640)
        assert copy.stat().st_mtime_ns == database.stat().st_mtime_ns
    assert os.getxattr(unpacked, "user.note") == b"kept"
    assert (made.path / "db" / name).stat().st_ino == (made.path / "critical" / name).stat().st_ino
    assert made.entries[name]["database"] is True


def test_what_only_the_log_holds_is_kept_and_the_log_itself_is_not(project: Path, vault: Path, tmp_path: Path) -> None:
    make(project / "shop.db", wal=True)
    with held_open(project / "shop.db"):
        assert (project / "shop.db-wal").stat().st_size > 0
        made = backup(project, vault)
        assert (project / "shop.db-wal").stat().st_size > 0, "the live database is left as it is"
        assert (project / "shop.db-shm").exists()
    out = extract(made, tmp_path / "out")
    assert b"only in the log" in dump(out / "shop.db")
    assert sorted(path.name for path in out.glob("shop.db*")) == ["shop.db"]
    assert sorted(path.name for path in (made.path / "db").iterdir()) == ["shop.db"]
    assert made.report["database_side_files"] == 2


def test_uncommitted_work_is_not_kept(project: Path, vault: Path, tmp_path: Path) -> None:
    make(project / "shop.db", wal=True)
    with held_open(project / "shop.db") as connection:
        connection.execute("INSERT INTO notes (text) VALUES ('not committed')")
        made = backup(project, vault)
    assert b"not committed" not in dump(extract(made, tmp_path / "out") / "shop.db")
    assert made.report["databases"][0]["integrity"] == "ok"


def test_files_named_like_side_files_of_nothing_are_kept(project: Path, vault: Path, tmp_path: Path) -> None:
    for name in ("plain-wal", "notes.db-journal", "x-shm"):
        (project / name).write_text("mine")
    made = backup(project, vault)
    assert {"plain-wal", "notes.db-journal", "x-shm"} <= set(made.entries)
    assert made.report["database_side_files"] == 0


def test_encrypted_database_is_kept_as_a_plain_file_with_a_warning(project: Path, vault: Path) -> None:
    data = os.urandom(20_480)
    (project / "secret.db").write_bytes(data)
    made = backup(project, vault)
    assert any("secret.db" in text and "encrypted" in text for text in made.result["warnings"])
    assert not made.result["incomplete"]
    assert tool("tar", "-xzOf", made.archive, "secret.db") == data
    assert not (made.path / "db").exists() or not (made.path / "db" / "secret.db").exists()


def test_empty_file_of_a_database_name_is_nothing_to_warn_of(project: Path, vault: Path) -> None:
    (project / "new.db").touch()
    assert backup(project, vault).result["warnings"] == []


@pytest.mark.parametrize("damage", ["garbage", "cut", "header only", "page"])
def test_broken_database_is_kept_byte_for_byte_with_its_side_files(
    damage: str, project: Path, vault: Path, tmp_path: Path
) -> None:
    path = make(project / "broken.db", rows=2000)
    data = bytearray(path.read_bytes())
    if damage == "garbage":
        data[16:] = os.urandom(len(data) - 16)
    elif damage == "cut":
        del data[len(data) // 2 :]
    elif damage == "header only":
        del data[16:]
    else:
        data[4096 : 3 * 4096] = b"\xee" * 8192
    path.write_bytes(data)
    (project / "broken.db-wal").write_bytes(b"a log of its own")
    made = backup(project, vault)
    assert any("broken.db" in text for text in made.result["warnings"])
    out = extract(made, tmp_path / "out")
    assert (out / "broken.db").read_bytes() == data
    assert (out / "broken.db-wal").read_bytes() == b"a log of its own"
    assert not (made.path / "db" / "broken.db").exists()
    assert made.report["databases"][0]["path"] == "broken.db"


def test_hard_linked_database_stays_one_inode(project: Path, vault: Path, tmp_path: Path) -> None:
    make(project / "a.db")
    os.link(project / "a.db", project / "b.db")
    made = backup(project, vault)
    out = extract(made, tmp_path / "out")
    assert (out / "a.db").stat().st_ino == (out / "b.db").stat().st_ino
    assert dump(out / "b.db") == dump(project / "b.db")
    restore(vault, made.id, project=tmp_path / "full", scenario="full")
    assert (tmp_path / "full/a.db").stat().st_ino == (tmp_path / "full/b.db").stat().st_ino


def test_database_over_16_mib_is_streamed(project: Path, vault: Path, tmp_path: Path) -> None:
    make(project / "large.db")
    tool("sqlite3", project / "large.db", "CREATE TABLE b(x);"
         "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n < 20) "
         f"INSERT INTO b SELECT randomblob({MIB}) FROM c;")  # fmt: skip
    assert (project / "large.db").stat().st_size > 16 * MIB
    made = backup(project, vault)
    assert made.entries["large.db"]["frames"] > 4
    assert dump(extract(made, tmp_path / "out") / "large.db") == dump(project / "large.db")


def test_databases_are_critical_and_come_back_with_the_critical_files(project: Path, vault: Path) -> None:
    make(project / "shop.db", wal=True)
    backup(project, vault)
    before = dump(project / "shop.db")
    tool("sqlite3", project / "shop.db", "DELETE FROM notes")
    restore(vault, scenario="critical")
    assert dump(project / "shop.db") == before


def test_stale_side_files_do_not_survive_a_restore(project: Path, vault: Path) -> None:
    """A log that belongs to newer content would be played into the restored database."""
    make(project / "shop.db", wal=True)
    backup(project, vault)
    before = dump(project / "shop.db")
    with held_open(project / "shop.db"):
        log, index = (project / "shop.db-wal").read_bytes(), (project / "shop.db-shm").read_bytes()
    (project / "shop.db-wal").write_bytes(log)  # as a killed program leaves them
    (project / "shop.db-shm").write_bytes(index)
    restore(vault, scenario="files", files=("shop.db",))
    assert not (project / "shop.db-wal").exists()
    assert not (project / "shop.db-shm").exists()
    assert dump(project / "shop.db") == before


CRASH = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA journal_mode=wal")
connection.execute("DELETE FROM notes WHERE id > 5")
connection.commit()
os._exit(0)  # the log stays beside the database
"""


@pytest.mark.parametrize("scenario", ["full", "critical", "files"])
def test_what_stands_in_the_log_alone_is_seen_and_taken_back(scenario: str, project: Path, vault: Path) -> None:
    database = make(project / "shop.db", wal=True)
    backup(project, vault)
    restore(vault, scenario="critical")  # from now on the file is, byte for byte, the copy in the backup
    backup(project, vault)
    before = database.read_bytes()
    tool("python3", "-c", CRASH, database)
    assert database.read_bytes() == before
    assert ask(database, "SELECT count(*) FROM notes") == b"5\n"
    request: dict[str, Any] = {"scenario": scenario, "files": ("shop.db",) if scenario == "files" else ()}
    plan = restore(vault, check=True, **request)
    assert [row["path"] for row in plan["entries"] if row["action"] == "replace"] == ["shop.db"]
    assert restore(vault, **request)["changed"]
    assert ask(database, "SELECT count(*) FROM notes") == b"100\n"
    assert not restore(vault, **request)["changed"]


def test_newer_rows_in_the_log_are_newer_work(project: Path, vault: Path) -> None:
    database = make(project / "shop.db", wal=True)
    made = backup(project, vault)
    os.utime(database, (0, 0))
    tool("python3", "-c", CRASH, database)
    later = time.time() + 60  # ids count in seconds
    os.utime(f"{database}-wal", (later, later))
    for request in ({"scenario": "full"}, {"scenario": "critical"}, {"scenario": "files", "files": ("shop.db",)}):
        plan = restore(vault, id_text=made.id, check=True, **request)
        assert [row["path"] for row in plan["entries"] if row["newer_work"]] == ["shop.db"], request


@pytest.mark.parametrize("name", ["d" * 255, "d" * 248, "\N{LATIN SMALL LETTER E WITH ACUTE}" * 124])
def test_database_with_a_name_that_leaves_no_room_for_side_files(name: str, project: Path, vault: Path) -> None:
    database = make(project / "short.db").rename(project / name)
    before = dump(database)
    made = backup(project, vault)
    assert made.report["unreadable"] == []
    assert [row["path"] for row in made.report["databases"]] == [name]
    for request in ({"scenario": "critical"}, {"scenario": "files", "files": (name,)}, {"scenario": "full"}):
        database.write_bytes(b"broken")
        assert restore(vault, **request)["changed"]
        assert dump(database) == before
        assert not restore(vault, **request)["changed"]


def test_excluded_database_is_left_out(project: Path, vault: Path) -> None:
    make(project / "cache" / "x.db")
    made = backup(project, vault, exclude=("cache/",))
    assert made.report["databases"] == []
    assert not (made.path / "db").exists()


def test_database_that_is_replaced_meanwhile_does_not_end_the_backup(
    project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(project / "shop.db")

    def replaced(*_: object, **__: object) -> None:
        raise ProjectError("shop.db was replaced while it was being copied: run the backup again.")

    monkeypatch.setattr(project_archiver, "copy_database", replaced)
    made = backup(project, vault)
    assert made.result["incomplete"]
    assert [row["path"] for row in made.report["unreadable"]] == ["shop.db"]
    assert "README.md" in made.entries
