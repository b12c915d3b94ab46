# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints: base, minus deleted, plus changes is the project, by our restore and by tar alone."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils import source_files
from ansible_collections.cora.backup.plugins.module_utils.undo import undo_last
from support.checkpoints import by_hand, check_both_ways, checkpoint, saved
from support.compare import differences, facts
from support.engine import backup, restore
from support.quick import slow_but
from support.tools import tool

LINKS = ("change", "remove one", "remove first", "rename", "add", "replace one", "nothing")
ODD_NAMES = (b"new\nline", b"back\\slash", b"\\n", b"end\\", b"latin1-\xe9", b"-rf", b" space ", b"!before", b"\r")


def change_much(project: Path) -> None:
    """Of everything that can happen to a tree, one."""
    (project / "README.md").write_text("changed\n")
    (project / "src" / "main.py").unlink()
    (project / "src").rename(project / "source")
    (project / "source" / "new.py").write_text("new\n")
    (project / "was-link").unlink()
    (project / "was-link").mkdir()
    (project / "was-link" / "inside").write_text("x\n")
    shutil.rmtree(project / "was-dir")
    (project / "was-dir").symlink_to("source")
    shutil.rmtree(project / "dir-to-file")
    (project / "dir-to-file").write_text("now a file\n")
    (project / "file-to-dir").unlink()
    (project / "file-to-dir" / "deep").mkdir(parents=True)
    os.mkfifo(project / "fifo")
    (project / "dangling").unlink()
    (project / "dangling").symlink_to("/nowhere/else")
    (project / "empty").rmdir()


def prepare(project: Path) -> None:
    (project / "was-link").symlink_to("src")
    (project / "was-dir").mkdir()
    (project / "was-dir" / "new.py").write_text("not that one\n")
    (project / "dir-to-file" / "a").mkdir(parents=True)
    (project / "dir-to-file" / "a" / "b").write_text("b\n")
    (project / "file-to-dir").write_text("a file\n")
    (project / "dangling").symlink_to("/nowhere")
    (project / "node_modules").mkdir()
    (project / "node_modules" / "x.js").write_text("x\n")


def test_changes_of_every_kind(big: Path, vault: Path, tmp_path: Path) -> None:
    prepare(big)
    backup(big, vault)
    change_much(big)
    result = checkpoint(big, vault)
    check_both_ways(big, vault, result["id"], tmp_path)


def test_names_of_every_kind_come_and_go(big: Path, vault: Path, tmp_path: Path) -> None:
    raw = os.fsencode(big)
    for name in ODD_NAMES:
        for top in (b"keep", b"go", b"change"):
            os.makedirs(os.path.join(raw, top), exist_ok=True)
            Path(os.fsdecode(os.path.join(raw, top, name))).write_text("1\n")
        os.mkdir(os.path.join(raw, b"dir-" + name))
        Path(os.fsdecode(os.path.join(raw, name))).write_text("top\n")
    backup(big, vault)
    for name in ODD_NAMES:
        os.unlink(os.path.join(raw, b"go", name))
        os.rmdir(os.path.join(raw, b"dir-" + name))
        Path(os.fsdecode(os.path.join(raw, b"change", name))).write_text("two\n")
        Path(os.fsdecode(os.path.join(raw, name))).write_text("top two\n")
    result = checkpoint(big, vault)
    lines = (Path(result["path"]) / "deleted.txt").read_bytes().splitlines()
    assert b"\\go/new\\nline" in lines
    assert b"go/latin1-\xe9" in lines
    check_both_ways(big, vault, result["id"], tmp_path)


@pytest.mark.parametrize("old", [True, False], ids=["settled", "just written"])
@pytest.mark.parametrize("what", slow_but(["change", "remove first"], LINKS))
def test_hard_links(big: Path, vault: Path, tmp_path: Path, what: str, old: bool, patience: Callable[[], None]) -> None:
    (big / "a").write_text("content\n")
    for name in ("b", "src/c"):
        os.link(big / "a", big / name)
    if old:
        patience()
    backup(big, vault)
    if what == "change":
        with (big / "b").open("a") as stream:
            stream.write("more\n")
    elif what == "remove one":
        (big / "b").unlink()
    elif what == "remove first":
        (big / "a").unlink()
    elif what == "rename":
        (big / "a").rename(big / "z")
    elif what == "add":
        os.link(big / "a", big / "0")
    elif what == "replace one":
        (big / "b").unlink()
        (big / "b").write_text("another\n")
    else:
        (big / "README.md").write_text("only this\n")
    result = checkpoint(big, vault)
    check_both_ways(big, vault, result["id"], tmp_path)


def test_hard_links_to_what_is_left_out_now(
    big: Path, vault: Path, tmp_path: Path, patience: Callable[[], None]
) -> None:
    (big / "cache").mkdir()
    (big / "cache" / "object").write_text("content\n")
    os.link(big / "cache" / "object", big / "linked")
    os.link(big / "cache" / "object", big / "linked too")
    patience()
    backup(big, vault)
    result = checkpoint(big, vault, exclude=("cache/", ".git/", "node_modules/"))
    restore(vault, result["id"], project=tmp_path / "engine", scenario="full")
    by_hand(vault, result["id"], tmp_path / "hand")
    for made in (tmp_path / "engine", tmp_path / "hand"):
        assert (made / "linked").read_text() == "content\n"
        assert (made / "linked").samefile(made / "linked too")
        assert not (made / "cache").exists()
    assert saved(big, vault, exclude=("cache/", ".git/", "node_modules/"))["kind"] is None


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Waits until what was written is old enough to be recognized by its metadata: 50 ms here, not two seconds."""

    def wait() -> None:
        monkeypatch.setattr(source_files, "_SETTLED_NS", 50_000_000)
        time.sleep(0.06)

    return wait


QUICK_METADATA = ("mode of a file", "time of a file", "attribute of a directory", "owner of a link")
ONLY_METADATA: dict[str, Callable[[Path], Any]] = {
    "mode of a file": lambda top: (top / "README.md").chmod(0o600),
    "owner of a file": lambda top: os.chown(top / "README.md", 1234, 5678),
    "time of a file": lambda top: os.utime(top / "README.md", ns=(0, 1_600_000_000_123_456_789)),
    "attribute of a file": lambda top: os.setxattr(top / "README.md", "user.note", b"x"),
    "mode of a directory": lambda top: (top / "src").chmod(0o711),
    "owner of a directory": lambda top: os.chown(top / "src", 1234, 5678),
    "attribute of a directory": lambda top: os.setxattr(top / "src", "user.note", b"x"),
    "default ACL of a directory": lambda top: tool("setfacl", "-d", "-m", "u:nobody:r", top / "src"),
    "mode of the project": lambda top: top.chmod(0o711),
    "owner of a link": lambda top: os.chown(top / "link", 1234, 5678, follow_symlinks=False),
    "time of a link": lambda top: os.utime(top / "link", ns=(0, 1_600_000_000_000_000_001), follow_symlinks=False),
}


@pytest.mark.parametrize("what", slow_but(QUICK_METADATA, ONLY_METADATA))
def test_what_changes_no_content(big: Path, vault: Path, tmp_path: Path, what: str) -> None:
    (big / "link").symlink_to("src")
    backup(big, vault)
    ONLY_METADATA[what](big)
    result = checkpoint(big, vault)
    assert saved(big, vault)["changed"] is False
    check_both_ways(big, vault, result["id"], tmp_path)


def test_a_file_rewritten_in_the_same_tick_is_seen(big: Path, vault: Path) -> None:
    file = big / "README.md"
    backup(big, vault)
    before = file.stat()
    file.write_text("# READMY\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert checkpoint(big, vault)["files"] == 1


# --- databases ---


def rows(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [row[0] for row in database.execute("SELECT n FROM t ORDER BY n")]


@pytest.fixture
def busy(big: Path) -> Iterator[sqlite3.Connection]:
    """A database in WAL mode with a writer that never puts its log into it."""
    with closing(sqlite3.connect(big / "src" / "app.db")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA wal_autocheckpoint=0")
        database.execute("CREATE TABLE t (n INTEGER)")
        database.execute("INSERT INTO t VALUES (1)")
        database.commit()
        yield database


def test_a_busy_database(
    big: Path, vault: Path, tmp_path: Path, busy: sqlite3.Connection, patience: Callable[[], None]
) -> None:
    patience()
    backup(big, vault)
    assert saved(big, vault)["changed"] is False
    busy.execute("INSERT INTO t VALUES (2)")
    busy.commit()
    result = checkpoint(big, vault)
    assert saved(big, vault)["changed"] is False
    for name, made in (("hand", by_hand), ("engine", None)):
        target = tmp_path / name
        if made:
            made(vault, result["id"], target)
        else:
            restore(vault, result["id"], project=target, scenario="full")
        assert rows(target / "src/app.db") == [1, 2]
        assert sorted(path.name for path in (target / "src").iterdir()) == ["app.db", "main.py"]


def test_an_idle_database_in_wal_mode_stays_unchanged(
    big: Path, vault: Path, busy: sqlite3.Connection, patience: Callable[[], None]
) -> None:
    busy.close()
    patience()
    backup(big, vault)
    assert [saved(big, vault)["changed"] for _ in range(2)] == [False, False]


def test_a_new_and_a_removed_database(big: Path, vault: Path, tmp_path: Path, busy: sqlite3.Connection) -> None:
    base = backup(big, vault)
    with closing(sqlite3.connect(big / "new.db")) as database:
        database.execute("CREATE TABLE t AS SELECT 7 AS n")
        database.commit()
    busy.close()
    for path in (big / "src").glob("app.db*"):
        path.unlink()
    result = checkpoint(big, vault)
    restore(vault, result["id"], project=tmp_path / "engine", scenario="full")
    assert rows(tmp_path / "engine/new.db") == [7]
    assert not (tmp_path / "engine/src/app.db").exists()
    restore(vault, result["id"], project=big, scenario="critical")
    assert not (big / "src/app.db").exists()
    restore(vault, base.id, project=big, scenario="critical")
    assert rows(big / "src/app.db") == [1]


def test_a_database_that_broke_keeps_what_stands_beside_it(big: Path, vault: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(big / "own.db")) as database:
        database.execute("CREATE TABLE t AS SELECT 7 AS n")
        database.commit()
    backup(big, vault)
    with (big / "own.db").open("r+b") as stream:
        stream.write(b"this is encrypted now")
    (big / "own.db-wal").write_bytes(b"rows that are nowhere else" * 9)
    first = checkpoint(big, vault)
    assert saved(big, vault)["kind"] is None
    (big / "README.md").write_text("another\n")
    check_both_ways(big, vault, first["id"], tmp_path, databases=True)
    for made in (first, checkpoint(big, vault)):
        restore(vault, made["id"], project=tmp_path / made["id"], scenario="full")
        for name in ("own.db", "own.db-wal"):
            assert (tmp_path / made["id"] / name).read_bytes() == (big / name).read_bytes()


def test_a_directory_named_like_what_stands_beside_a_database(
    big: Path, vault: Path, tmp_path: Path, patience: Callable[[], None]
) -> None:
    with closing(sqlite3.connect(big / "own.db")) as database:
        database.execute("PRAGMA journal_mode=WAL")  # then SQLite has no use for that name itself
        database.execute("CREATE TABLE t AS SELECT 7 AS n")
        database.commit()
    (big / "own.db-journal").mkdir(mode=0o750)
    (big / "own.db-journal" / "page").write_text("x\n")
    patience()
    backup(big, vault)
    assert saved(big, vault)["kind"] is None
    (big / "own.db-journal" / "page").write_text("y\n")
    made = checkpoint(big, vault)
    assert made["deleted"] == 0
    restore(vault, made["id"], project=tmp_path / "engine", scenario="full")
    assert (tmp_path / "engine/own.db-journal").stat().st_mode == (big / "own.db-journal").stat().st_mode
    assert (tmp_path / "engine/own.db-journal/page").read_text() == "y\n"


# --- there and back ---


def test_save_lose_restore_and_undo(big: Path, vault: Path) -> None:
    prepare(big)
    backup(big, vault)
    change_much(big)
    state = checkpoint(big, vault)
    good = facts(big)
    shutil.rmtree(big / "source")
    (big / "README.md").write_text("spoilt\n")
    spoilt = facts(big)
    assert restore(vault, state["id"], scenario="full")["changed"]
    assert differences(good, facts(big), ignore=lambda path, _fact: path.startswith(b"node_modules")) == []
    assert restore(vault, state["id"], scenario="full")["changed"] is False
    undo_last(str(vault))
    assert differences(spoilt, facts(big)) == []


def test_single_files_come_from_the_newest_layer_that_has_them(big: Path, vault: Path) -> None:
    backup(big, vault)
    (big / "README.md").write_text("newer\n")
    (big / "empty").rmdir()
    state = checkpoint(big, vault)
    for name in ("README.md", "AI_WORK_LOG.md"):
        (big / name).unlink()
    restore(vault, state["id"], scenario="files", files=("README.md", "AI_WORK_LOG.md"))
    assert (big / "README.md").read_text() == "newer\n"
    assert (big / "AI_WORK_LOG.md").read_text() == "done so far\n"
