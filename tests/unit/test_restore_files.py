# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restoring single files, directories and critical files into a project that stays where it is; and taking it back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils.errors import NotFoundError, RestoreError, TargetBusyError
from ansible_collections.cora.backup.plugins.module_utils.undo import undo_last
from support.compare import Facts, differences, facts
from support.engine import backup, restore
from support.tools import tool

Tree = dict[bytes, Facts]


def assert_same(expected: Tree, top: Path) -> None:
    """Equal, but for times of directories in which something was replaced, and the bytes of a database.

    SQLite copies rows, and counts the copy as a change in the database's header.
    """

    def may_differ(path: bytes, fact: str) -> bool:
        is_directory_or_fifo = expected[path]["content"] is None and expected[path]["link"] is None
        return (fact == "mtime_ns" and is_directory_or_fifo) or (path, fact) == (b"shop.db", "content")

    assert differences(expected, facts(top), ignore=may_differ) == []


@pytest.fixture
def rich(project: Path) -> Path:
    """A project with something of every kind."""
    (project / "deep" / "er").mkdir(parents=True)
    (project / "deep" / "er" / "file").write_text("deep")
    (project / "deep" / "link").symlink_to("er/file")
    os.mkfifo(project / "deep" / "fifo")
    (project / "a").write_text("one inode")
    os.link(project / "a", project / "deep" / "b")
    tool("setfacl", "-m", "u:1234:rw", project / "a")
    os.setxattr(project / "README.md", "user.note", b"kept")
    os.chown(project / "README.md", 1, 2)
    tool("sqlite3", project / "shop.db", "CREATE TABLE t(x); INSERT INTO t VALUES (1);")
    return project


def test_a_file_comes_back_with_all_that_belongs_to_it(rich: Path, vault: Path) -> None:
    expected = facts(rich)
    backup(rich, vault)
    (rich / "README.md").write_text("overwritten")
    os.chown(rich / "README.md", 0, 0)
    result = restore(vault, scenario="files", files=("README.md",))
    assert result["changed"] is True
    assert_same(expected, rich)


def test_only_what_was_asked_for_changes(rich: Path, vault: Path) -> None:
    backup(rich, vault)
    for name in ("README.md", "AI_WORK_LOG.md", "deep/er/file"):
        (rich / name).write_text("newer")
    restore(vault, scenario="files", files=("deep",))
    assert (rich / "deep/er/file").read_text() == "deep"
    assert (rich / "README.md").read_text() == (rich / "AI_WORK_LOG.md").read_text() == "newer"


@pytest.mark.parametrize("spelled", ["deep", "deep/", "./deep", "deep/./", "deep/../deep"])
def test_a_directory_brings_all_that_is_in_it(spelled: str, rich: Path, vault: Path) -> None:
    expected = facts(rich)
    backup(rich, vault)
    tool("rm", "-rf", rich / "deep")
    restore(vault, scenario="files", files=(spelled,))
    for path in expected:
        if path.startswith(b"deep"):
            expected[path].pop("same inode as", None)
    expected[b"a"].pop("same inode as")
    assert_same(expected, rich)


def test_dot_brings_everything_and_removes_nothing(rich: Path, vault: Path) -> None:
    expected = facts(rich)
    backup(rich, vault)
    for path in list(rich.iterdir()):
        tool("rm", "-rf", path)
    (rich / "mine").write_text("new work")
    restore(vault, scenario="files", files=(".",))
    assert (rich / "mine").read_text() == "new work"
    (rich / "mine").unlink()
    assert_same(expected, rich)


def test_hard_links_that_come_back_together_are_one_file(rich: Path, vault: Path) -> None:
    backup(rich, vault)
    (rich / "a").unlink()
    (rich / "deep/b").unlink()
    restore(vault, scenario="files", files=("a", "deep/b"))
    assert (rich / "a").samefile(rich / "deep/b")


def test_one_of_two_hard_links_can_be_restored(rich: Path, vault: Path) -> None:
    backup(rich, vault)
    (rich / "deep/b").unlink()
    restore(vault, scenario="files", files=("deep/b",))
    assert (rich / "deep/b").read_text() == "one inode"


def test_critical_files_come_back_and_nothing_else(rich: Path, vault: Path) -> None:
    backup(rich, vault)
    (rich / "AI_WORK_LOG.md").unlink()
    (rich / "src/main.py").write_text("newer")
    tool("sqlite3", rich / "shop.db", "DELETE FROM t")
    result = restore(vault, scenario="critical")
    assert (rich / "AI_WORK_LOG.md").read_text() == "done so far\n"
    assert (rich / "src/main.py").read_text() == "newer"
    assert tool("sqlite3", rich / "shop.db", "SELECT x FROM t") == b"1\n"
    assert result["counts"]["create"] == 1


def test_restoring_twice_changes_nothing_the_second_time(rich: Path, vault: Path) -> None:
    backup(rich, vault)
    for name in ("README.md", "shop.db", "deep/link", "a"):
        (rich / name).unlink()
    for scenario in ({"scenario": "files", "files": (".",)}, {"scenario": "critical"}):
        restore(vault, **scenario)
        before = facts(rich)
        result = restore(vault, **scenario)
        assert (result["changed"], result["restore_id"], result["saved_at"]) == (False, None, None)
        assert differences(before, facts(rich)) == []


@pytest.mark.parametrize(
    "damage",
    ["setfattr -x user.note README.md", "setfattr -n user.more -v x README.md", "setfacl -b a", "chmod 640 a",
     "setfacl -m d:u:55:rwx deep", "ln -sfn elsewhere deep/link", "chown 77 deep",
     "dd if=/dev/zero of=src/main.py conv=notrunc bs=1 count=3 2>/dev/null; touch -r AI_WORK_LOG.md src/main.py"],
)  # fmt: skip
def test_what_only_metadata_or_silent_damage_tells_is_restored_too(damage: str, rich: Path, vault: Path) -> None:
    os.utime(rich / "AI_WORK_LOG.md", ns=(1, 1))
    os.utime(rich / "src/main.py", ns=(1, 1))
    expected = facts(rich)
    backup(rich, vault)
    subprocess.run(["sh", "-c", damage], cwd=rich, check=True)
    assert differences(expected, facts(rich)) != []
    result = restore(vault, scenario="files", files=(".",))
    assert result["changed"] is True
    assert_same(expected, rich)


def test_names_that_are_not_utf8_are_found_raw_and_as_they_are_shown(tmp_path: Path, vault: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    name = os.fsdecode(b"caf\xe9")
    (project / name).write_text("x")
    backup(project, vault)
    for given in (name, "caf\\xe9"):
        (project / name).unlink()
        restore(vault, scenario="files", files=(given,))
        assert (project / name).read_text() == "x"


def test_files_restored_into_another_project(rich: Path, vault: Path, tmp_path: Path) -> None:
    made = backup(rich, vault)
    other = tmp_path / "other"
    other.mkdir()
    restore(vault, made.id, project=other, scenario="files", files=("deep/er/file",))
    assert (other / "deep/er/file").read_text() == "deep"
    assert (other / "deep").stat().st_mode == (rich / "deep").stat().st_mode


def test_nothing_is_left_lying_around(rich: Path, vault: Path) -> None:
    backup(rich, vault)
    (rich / "README.md").unlink()
    restore(vault, scenario="files", files=(".",))
    assert not list(rich.rglob(".cora*"))


def test_project_has_to_be_there(rich: Path, vault: Path) -> None:
    backup(rich, vault)
    tool("rm", "-rf", rich)
    with pytest.raises(RestoreError, match="--full"):
        restore(vault, scenario="files", files=("README.md",))


@pytest.mark.parametrize(("now", "path"), [("directory", "README.md"), ("file", "deep")])
def test_a_directory_where_a_file_belongs_is_refused(now: str, path: str, rich: Path, vault: Path) -> None:
    backup(rich, vault)
    tool("rm", "-rf", rich / path)
    if now == "directory":
        (rich / path).mkdir()
        (rich / path / "work").write_text("new")
    else:
        (rich / path).write_text("new")
    before = facts(rich)
    with pytest.raises(RestoreError, match="move it away"):
        restore(vault, scenario="files", files=(".",))
    assert differences(before, facts(rich)) == []


def test_a_link_in_the_way_is_not_followed(rich: Path, vault: Path, tmp_path: Path) -> None:
    backup(rich, vault)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "er").mkdir()
    tool("rm", "-rf", rich / "deep")
    (rich / "deep").symlink_to(outside)
    with pytest.raises(RestoreError):
        restore(vault, scenario="files", files=("deep/er/file",))
    assert list((outside / "er").iterdir()) == []


def test_a_link_in_the_place_of_a_file_is_replaced_not_written_through(rich: Path, vault: Path, tmp_path: Path) -> None:
    backup(rich, vault)
    (tmp_path / "target").write_text("outside")
    (rich / "README.md").unlink()
    (rich / "README.md").symlink_to(tmp_path / "target")
    restore(vault, scenario="files", files=("README.md",))
    assert not (rich / "README.md").is_symlink()
    assert (tmp_path / "target").read_text() == "outside"


def test_database_that_is_open_somewhere_is_not_replaced(rich: Path, vault: Path) -> None:
    backup(rich, vault)
    tool("sqlite3", rich / "shop.db", "INSERT INTO t VALUES (2)")
    before = facts(rich)
    program = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT 1 FROM t'); print(flush=1); input()"
    )
    with subprocess.Popen([sys.executable, "-c", program, rich / "shop.db"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as holder:  # fmt: skip
        assert holder.stdout is not None
        holder.stdout.readline()
        for scenario in ({"scenario": "critical"}, {"scenario": "files", "files": ("shop.db",)}, {"scenario": "full"}):
            with pytest.raises(TargetBusyError, match=rf"shop\.db.*process {holder.pid}"):
                restore(vault, **scenario)
            assert_same(before, rich)
        holder.kill()
    restore(vault, scenario="critical")
    assert tool("sqlite3", rich / "shop.db", "SELECT x FROM t") == b"1\n"


# --- undo


def test_undo_brings_back_what_was_replaced_and_removes_what_was_made(rich: Path, vault: Path) -> None:
    backup(rich, vault)
    (rich / "README.md").write_text("newer work")
    os.setxattr(rich / "README.md", "user.note", b"newer note")
    os.chmod(rich / "README.md", 0o604)
    tool("rm", "-rf", rich / "deep")
    tool("sqlite3", rich / "shop.db", "INSERT INTO t VALUES (99)")
    before = facts(rich)
    rows = tool("sqlite3", rich / "shop.db", ".dump")
    restored = restore(vault, scenario="files", files=(".",))
    undone = undo_last(str(vault))
    assert undone["undone_id"] == restored["restore_id"]
    assert_same(before, rich)
    assert tool("sqlite3", rich / "shop.db", ".dump") == rows


def test_undo_of_an_undo_restores_again(rich: Path, vault: Path) -> None:
    backup(rich, vault)
    (rich / "README.md").write_text("newer work")
    tool("rm", "-rf", rich / "deep")
    before = facts(rich)
    restore(vault, scenario="files", files=(".",))
    restored = facts(rich)
    undo_last(str(vault))
    assert_same(before, rich)
    undo_last(str(vault))
    assert_same(restored, rich)
    undo_last(str(vault))
    assert_same(before, rich)


def test_undo_counts_what_it_does(rich: Path, vault: Path) -> None:
    backup(rich, vault)
    (rich / "README.md").write_text("newer")
    tool("rm", "-rf", rich / "deep", rich / "shop.db")
    made = 5 + 1  # deep, er, file, link, fifo, b; and the database
    restore(vault, scenario="files", files=(".",))
    undone = undo_last(str(vault))
    assert undone["counts"] == {"create": 0, "replace": 1, "remove": made + 1, "same": 0, "newer": 1}


def test_undo_keeps_new_work_in_directories_that_the_restore_made(rich: Path, vault: Path) -> None:
    backup(rich, vault)
    tool("rm", "-rf", rich / "deep")
    restore(vault, scenario="files", files=("deep",))
    (rich / "deep" / "mine").write_text("written since")
    undo_last(str(vault))
    assert [path.name for path in (rich / "deep").iterdir()] == ["mine"]


def test_undo_keeps_what_was_done_to_restored_files_since(rich: Path, vault: Path) -> None:
    """The undo saves the present too, so nothing is ever lost by it."""
    backup(rich, vault)
    (rich / "README.md").write_text("before")
    restore(vault, scenario="files", files=("README.md",))
    (rich / "README.md").write_text("edited after the restore")
    undo_last(str(vault))
    assert (rich / "README.md").read_text() == "before"
    undo_last(str(vault))
    assert (rich / "README.md").read_text() == "edited after the restore"


def test_undo_is_of_the_project_that_is_named(rich: Path, vault: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "x").write_text("x")
    first = backup(rich, vault)
    second = backup(other, vault)
    (rich / "README.md").unlink()
    (other / "x").unlink()
    restore(vault, first.id, scenario="files", files=("README.md",))
    restore(vault, second.id, scenario="files", files=("x",))
    undo_last(str(vault), project=str(rich) + "/")
    assert not (rich / "README.md").exists()
    assert (other / "x").exists()
    undo_last(str(vault), project=str(other))
    assert not (other / "x").exists()


def test_nothing_to_undo(project: Path, vault: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no vault"):
        undo_last(str(vault))
    backup(project, vault)
    with pytest.raises(NotFoundError, match="no restore"):
        undo_last(str(vault))
    (project / "README.md").unlink()
    restore(vault, scenario="critical")
    with pytest.raises(NotFoundError, match="elsewhere"):
        undo_last(str(vault), project="/elsewhere")


def test_asking_what_would_be_undone_changes_nothing(rich: Path, vault: Path) -> None:
    backup(rich, vault)
    (rich / "README.md").unlink()
    result = restore(vault, scenario="critical")
    before, vault_before = facts(rich), facts(vault)
    asked = undo_last(str(vault), check=True)
    assert (asked["changed"], asked["undone_id"], asked["scenario"]) == (True, result["restore_id"], "critical")
    assert differences(before, facts(rich)) == []
    changed = [line for line in differences(vault_before, facts(vault)) if "lock" not in line]
    assert changed == []
