# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restoring a whole project: the swap, what moves over, what is refused, services, their health, and the way back."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils import durable, extract, processes
from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError, RestoreError, SettingsError
from ansible_collections.cora.backup.plugins.module_utils.processes import WORTH_PROCESSES_BYTES
from ansible_collections.cora.backup.plugins.module_utils.settings import Service
from ansible_collections.cora.backup.plugins.module_utils.undo import undo_last
from ansible_collections.cora.backup.plugins.module_utils.writing_out import WritingOut
from support.compare import Facts, differences, facts
from support.engine import Document, Made, backup, restore
from support.tools import assert_no_child_is_left, tool
from support.trees import MIB, fill

Tree = dict[bytes, Facts]


def assert_same(expected: Tree, top: Path) -> None:
    assert differences(expected, facts(top)) == []


def beside(project: Path) -> set[str]:
    """What stands beside the project, the vault left out."""
    return {path.name for path in project.parent.iterdir()} - {"project", "vault"}


@pytest.fixture
def made(project: Path, vault: Path) -> Made:
    (project / ".git").mkdir()
    (project / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (project / "web" / "node_modules" / "left-pad").mkdir(parents=True)
    (project / "web" / "node_modules" / "left-pad" / "index.js").write_text("pad")
    (project / "link").symlink_to("README.md")
    os.chmod(project, 0o750)
    os.chown(project, 33, 34)
    return backup(project, vault)


def destroy(project: Path) -> None:
    """What a clean-up script does, and some work after it."""
    (project / "README.md").unlink()
    tool("rm", "-rf", project / "src")
    (project / "AI_WORK_LOG.md").write_text("newer")
    (project / "new").mkdir()
    (project / "new" / "work.txt").write_text("new work")


def test_everything_is_as_it_was_and_the_old_tree_is_kept(made: Made, project: Path, vault: Path) -> None:
    expected = facts(project)
    destroy(project)
    destroyed = facts(project)
    result = restore(vault, scenario="full")
    assert_same(expected, project)
    assert result["changed"] is True
    old = Path(result["saved_at"])
    assert old.parent == project.parent
    assert old.name.startswith("project.old-")
    assert beside(project) == {old.name}
    carried = (b".git", b"web/node_modules")
    assert_same({path: fact for path, fact in destroyed.items() if not path.startswith(carried)}, old)


def test_excluded_directories_move_over_and_are_not_copied(made: Made, project: Path, vault: Path) -> None:
    inode = (project / ".git" / "HEAD").stat().st_ino
    (project / ".git" / "config").write_text("written after the backup")
    destroy(project)
    old = Path(restore(vault, scenario="full")["saved_at"])
    assert (project / ".git" / "HEAD").stat().st_ino == inode
    assert (project / ".git" / "config").read_text() == "written after the backup"
    assert (project / "web/node_modules/left-pad/index.js").read_text() == "pad"
    assert not (old / ".git").exists()
    assert not (old / "web" / "node_modules").exists()


def test_who_is_not_root_keeps_excluded_directories_of_read_only_ones() -> None:
    with tempfile.TemporaryDirectory(prefix="cora-") as path:
        place = Path(path)
        project, vault = place / "home/project", place / "home/vault"
        (project / "fixed/node_modules/pad").mkdir(parents=True)
        (project / "fixed/node_modules/pad/index.js").write_text("pad")
        (project / "README.md").write_text("one\n")
        vault.mkdir()
        (project / "fixed/node_modules").chmod(0o555)
        (project / "fixed").chmod(0o555)
        place.chmod(0o711)
        tool("chown", "-R", "nobody", place / "home")
        os.seteuid(65534)
        try:
            backup(project, vault, seal="best_effort")
            (project / "README.md").write_text("another\n")
            old = Path(restore(vault, scenario="full")["saved_at"])
        finally:
            os.seteuid(0)
        assert (project / "README.md").read_text() == "one\n"
        assert (project / "fixed/node_modules/pad/index.js").read_text() == "pad"
        for directory in (project / "fixed", project / "fixed/node_modules", old / "fixed"):
            assert stat.S_IMODE(directory.stat().st_mode) == 0o555, directory


def test_excluded_things_whose_directory_is_not_in_the_backup_stay_in_the_old_tree(
    made: Made, project: Path, vault: Path
) -> None:
    (project / "later" / "node_modules").mkdir(parents=True)
    (project / "later" / "node_modules" / "x").write_text("x")
    old = Path(restore(vault, scenario="full")["saved_at"])
    assert not (project / "later").exists()
    assert (old / "later" / "node_modules" / "x").read_text() == "x"


def test_second_full_restore_has_nothing_to_do(made: Made, project: Path, vault: Path) -> None:
    destroy(project)
    assert restore(vault, scenario="full")["changed"] is True
    before = facts(project)
    again = restore(vault, scenario="full")
    assert (again["changed"], again["saved_at"]) == (False, None)
    assert_same(before, project)
    assert len(beside(project)) == 1


@pytest.mark.parametrize(
    "damage",
    ["ln -sfn elsewhere link", "chown -R 5:6 .", "chmod 600 README.md", "setfacl -m u:9:r README.md",
     "setfattr -n user.x -v y src", "cp -p a a2; rm b; mv a2 b",
     "dd if=/dev/zero of=README.md conv=notrunc bs=1 count=2 2>/dev/null; touch -d @7 README.md"],
)  # fmt: skip
def test_every_kind_of_damage_is_repaired(damage: str, project: Path, vault: Path) -> None:
    (project / "link").symlink_to("README.md")
    (project / "a").write_text("one inode")
    os.link(project / "a", project / "b")
    os.utime(project / "README.md", (7, 7))
    expected = facts(project)
    backup(project, vault)
    subprocess.run(["sh", "-c", damage], cwd=project, check=True)
    assert differences(expected, facts(project)) != []
    assert restore(vault, scenario="full")["changed"] is True
    assert_same(expected, project)


def test_restore_to_another_place(made: Made, project: Path, vault: Path, tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    before = facts(project)
    result = restore(vault, made.id, project=tmp_path / "place" / "copy", scenario="full")
    assert not result["saved_at"]
    kept = {path: fact for path, fact in before.items() if not path.startswith((b".git", b"web/node_modules"))}
    assert_same(kept, tmp_path / "place" / "copy")
    assert_same(before, project)
    assert os.listdir(tmp_path / "place") == ["copy"]


def test_latest_of_another_place_needs_an_id(made: Made, vault: Path, tmp_path: Path) -> None:
    with pytest.raises(CoraError, match="give its id"):
        restore(vault, project=tmp_path / "copy", scenario="full")


# --- what is refused, with nothing changed


@contextmanager
def mounted(where: Path) -> Iterator[None]:
    tool("mount", "-t", "tmpfs", "none", where)
    try:
        yield
    finally:
        tool("umount", where)


@pytest.mark.parametrize("where", [".", "src", "web/node_modules"])
def test_mount_points_are_refused(where: str, made: Made, project: Path, vault: Path) -> None:
    (project / "README.md").unlink()
    with mounted(project / where):
        before = facts(project)
        with pytest.raises(RestoreError, match="mount point"):
            restore(vault, scenario="full")
        assert_same(before, project)
    assert beside(project) == set()


def test_mount_point_reached_through_a_link_is_refused(made: Made, project: Path, vault: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "target").mkdir()
    (tmp_path / "way").symlink_to("real")
    with mounted(tmp_path / "real" / "target"), pytest.raises(RestoreError, match="mount point"):
        restore(vault, made.id, project=tmp_path / "way" / "target", scenario="full")
    assert os.listdir(tmp_path / "real") == ["target"]


@pytest.mark.parametrize("kind", ["link", "dangling link", "file"])
def test_target_that_is_no_directory_is_refused(kind: str, made: Made, vault: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    if kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to("elsewhere")
    if kind == "link":
        (tmp_path / "elsewhere").mkdir()
    with pytest.raises(RestoreError, match="link or no directory"):
        restore(vault, made.id, project=target, scenario="full")
    assert target.is_symlink() or target.read_text() == "mine"
    assert not list(tmp_path.glob("*.old-*"))


def test_missing_parent_is_refused(made: Made, vault: Path, tmp_path: Path) -> None:
    with pytest.raises(RestoreError, match="mkdir -p"):
        restore(vault, made.id, project=tmp_path / "no" / "where", scenario="full")
    assert not (tmp_path / "no").exists()


def test_project_that_holds_the_vault_is_refused(vault: Path) -> None:
    project = vault
    (project / "file").parent.mkdir()
    (project / "file").write_text("x")
    backup(project, project / "backups", exclude=("/backups/",))
    (project / "file").write_text("newer")
    with pytest.raises(SettingsError, match="vault lies inside"):
        restore(project / "backups", scenario="full")
    assert (project / "file").exists()


def test_full_disk_is_seen_before_anything_is_written(
    made: Made, project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    destroy(project)
    before = facts(project)

    def nearly_full(path: str) -> Any:
        real = statvfs(path)
        return os.statvfs_result((*real[:4], 1, *real[5:]))

    statvfs = os.statvfs
    monkeypatch.setattr(os, "statvfs", nearly_full)
    with pytest.raises(RestoreError, match="free"):
        restore(vault, scenario="full")
    assert_same(before, project)
    assert beside(project) == set()


# --- services


class Switch:
    """A service of kind command that writes down what it was told, and what it saw of the project then."""

    def __init__(self, top: Path, project: Path) -> None:
        self.log = top / "service.log"
        self.log.write_text("")
        self._project = project

    def service(self, *, start: str = "true") -> Service:
        look = f"test -e {self._project}/README.md && echo there || echo gone"
        return Service(
            kind="command",
            stop=("sh", "-c", f"echo stop $({look}) >> {self.log}"),
            start=("sh", "-c", f"echo start $({look}) >> {self.log}; {start}"),
        )

    def said(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def switch(tmp_path: Path, project: Path) -> Switch:
    return Switch(tmp_path, project)


def full(vault: Path, **request: Any) -> Document:
    return restore(vault, scenario="full", **request)


def test_services_stand_still_during_the_swap(made: Made, project: Path, vault: Path, switch: Switch) -> None:
    destroy(project)
    healthy = ("test", "-e", str(project / "README.md"))
    result = full(vault, services=(switch.service(),), health_command=healthy)
    assert switch.said() == ["stop gone", "start there"]
    assert len(result["services"]) == 2
    assert result["rolled_back"] is False


@pytest.mark.parametrize(
    "scenario", [{"scenario": "full"}, {"scenario": "critical"}, {"scenario": "files", "files": (".",)}]
)
def test_failing_health_command_takes_everything_back(
    scenario: dict[str, Any], made: Made, project: Path, vault: Path, switch: Switch
) -> None:
    destroy(project)
    before = facts(project)
    with pytest.raises(RestoreError, match="taken back") as failure:
        restore(vault, services=(switch.service(),), health_command=("sh", "-c", "echo not well >&2; exit 3"),
                health_timeout_seconds=0.2, **scenario)  # fmt: skip
    assert failure.value.rolled_back is True
    assert "not well" in str(failure.value)
    found = differences(before, facts(project), ignore=lambda path, fact: fact == "mtime_ns" and path in (b".", b"src"))
    assert found == []
    assert switch.said() == ["stop gone", "start there", "stop there", "start gone"]
    assert {name.rpartition("-")[0].rpartition("-")[0] for name in beside(project) - {"service.log"}} <= {
        "project.failed"
    }
    with pytest.raises(CoraError, match="no restore"):
        undo_last(str(vault))


def test_service_that_does_not_start_takes_everything_back(
    made: Made, project: Path, vault: Path, switch: Switch
) -> None:
    destroy(project)
    before = facts(project)
    start = f"test ! -e {project}/README.md"  # it starts on the old tree only
    with pytest.raises(RestoreError) as failure:
        full(vault, services=(switch.service(start=start),))
    assert failure.value.rolled_back is True
    assert_same(before, project)


def test_service_that_does_not_stop_changes_nothing(made: Made, project: Path, vault: Path) -> None:
    destroy(project)
    before = facts(project)
    stubborn = Service(kind="command", stop=("false",), start=("true",))
    with pytest.raises(CoraError, match="nothing was restored"):
        full(vault, services=(stubborn,))
    assert_same(before, project)
    assert beside(project) == set()


def test_failed_restore_can_simply_be_asked_for_again(made: Made, project: Path, vault: Path) -> None:
    expected = facts(project)
    destroy(project)
    with pytest.raises(RestoreError):
        full(vault, health_command=("false",), health_timeout_seconds=0.0)
    full(vault, health_command=("true",))
    assert_same(expected, project)


# --- the way back


def test_undo_brings_the_old_tree_back_and_its_undo_the_restored_one(made: Made, project: Path, vault: Path) -> None:
    expected = facts(project)
    destroy(project)
    destroyed = facts(project)
    restored = full(vault)
    undone = undo_last(str(vault))
    assert undone["undone_id"] == restored["restore_id"]
    assert_same(destroyed, project)
    assert (project / ".git" / "HEAD").exists()
    undo_last(str(vault))
    assert_same(expected, project)
    assert (project / ".git" / "HEAD").exists()
    undo_last(str(vault))
    assert_same(destroyed, project)


def test_undo_keeps_what_was_written_since_the_restore(made: Made, project: Path, vault: Path) -> None:
    destroy(project)
    full(vault)
    (project / "since.txt").write_text("work after the restore")
    undone = undo_last(str(vault))
    assert not (project / "since.txt").exists()
    assert (Path(undone["saved_at"]) / "since.txt").read_text() == "work after the restore"


def test_undo_of_a_restore_into_an_empty_place_and_its_undo(made: Made, project: Path, vault: Path) -> None:
    tool("rm", "-rf", project)
    full(vault)
    restored = facts(project)
    undone = undo_last(str(vault))
    assert not project.exists()
    assert_same(restored, Path(undone["saved_at"]))
    undo_last(str(vault))
    assert_same(restored, project)


def test_undo_of_a_swap_uses_services_and_health_too(made: Made, project: Path, vault: Path, switch: Switch) -> None:
    destroy(project)
    full(vault)
    restored = facts(project)
    with pytest.raises(RestoreError) as failure:
        undo_last(str(vault), services=(switch.service(),), health_command=("false",), health_timeout_seconds=0.0)
    assert failure.value.rolled_back is True
    assert_same(restored, project)
    undo_last(str(vault), services=(switch.service(),))
    assert not (project / "README.md").exists()
    assert switch.said()[-2:] == ["stop there", "start gone"]


def test_undo_needs_the_old_tree(made: Made, project: Path, vault: Path) -> None:
    destroy(project)
    tool("rm", "-rf", full(vault)["saved_at"])
    before = facts(project)
    with pytest.raises(RestoreError, match="not there any more"):
        undo_last(str(vault))
    assert_same(before, project)


def test_old_trees_of_several_restores_stand_side_by_side(made: Made, project: Path, vault: Path) -> None:
    for number in range(3):
        (project / "n").write_text(str(number))
        full(vault)
    assert sorted((path / "n").read_text() for path in project.parent.glob("project.old-*")) == ["0", "1", "2"]


def test_old_tree_keeps_its_own_mode_and_owner(made: Made, project: Path, vault: Path) -> None:
    os.chmod(project, 0o711)
    old = Path(full(vault)["saved_at"])
    assert stat.S_IMODE(old.stat().st_mode) == 0o711
    assert (stat.S_IMODE(project.stat().st_mode), project.stat().st_uid) == (0o750, 33)


@pytest.fixture
def large(project: Path, vault: Path) -> Made:
    """A project that is worth several processes, with what only the caller of these can finish."""
    for number in range(400):
        directory = project / f"part{number % 20}" / f"deep{number}"
        directory.mkdir(parents=True)
        fill(os.fsencode(directory / "data"), 20_000, seed=number)
        os.utime(directory, ns=(1_600_000_000_000_000_000 + number, 1_600_000_000_000_000_000 + number))
    fill(os.fsencode(project / "film"), 40 * MIB, seed=7)
    (project / "tool").write_bytes(b"#!")
    os.chmod(project / "tool", 0o4755)
    os.link(project / "part1" / "deep1" / "data", project / "zz-the-same")
    made = backup(project, vault)
    assert made.archive.stat().st_size > WORTH_PROCESSES_BYTES
    return made


def test_a_large_tree_is_written_by_several_processes(
    large: Made, project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers: list[Any] = []
    start = processes._start

    def noted(*given: Any) -> Any:
        workers.append(start(*given))
        return workers[-1]

    monkeypatch.setattr(processes, "cores", lambda: 3)
    monkeypatch.setattr(processes, "_start", noted)
    os.chmod(project / "tool", 0o755)  # without what a restore leaves out
    expected = facts(project)
    os.chmod(project / "tool", 0o4755)
    destroy(project)
    result = restore(vault, scenario="full")
    assert len(workers) == 1 + 1 + 3  # the sums are checked beside the plan, and the tree is synced meanwhile
    assert_same(expected, project)
    assert [warning for warning in result["warnings"] if "set-user-id" in warning] == [
        "tool: its set-user-id or set-group-id bit is left out (keep_setuid brings it back)"
    ]
    assert (project / "zz-the-same").stat().st_ino == (project / "part1" / "deep1" / "data").stat().st_ino


@pytest.mark.parametrize("keep_setuid", [False, True])
@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777], ids=oct)
def test_modes_and_owners_are_those_of_the_backup_wherever_it_is_restored(
    umask: int, keep_setuid: bool, project: Path, vault: Path, tmp_path: Path
) -> None:
    """Files are made with their mode, and get a group from a directory that hands its own down."""
    modes = (0o644, 0o600, 0o000, 0o777, 0o1644, 0o4755, 0o2711)
    for number, (mode, owner) in enumerate((mode, owner) for mode in modes for owner in ((0, 0), (0, 34), (33, 34))):
        path = project / "src" / f"file{number}"
        path.write_text(str(number))
        os.chown(path, *owner)
        os.chmod(path, mode)
    made = backup(project, vault)
    if not keep_setuid:
        for path in (project / "src").iterdir():
            os.chmod(path, stat.S_IMODE(path.stat().st_mode) & ~0o6000)
    expected = facts(project)
    place = tmp_path / "place"
    place.mkdir()
    os.chown(place, 33, 33)
    os.chmod(place, 0o2775)
    before = os.umask(umask)
    try:
        restore(vault, made.id, scenario="full", project=place / "copy", keep_setuid=keep_setuid)
    finally:
        os.umask(before)
    assert_same(expected, place / "copy")


def test_a_disk_that_fails_meanwhile_leaves_the_project_as_it_was(
    large: Made, project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = os.getpid()

    def refuse() -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def asked_once(self: WritingOut) -> None:
        monkeypatch.setattr(WritingOut, "go_on", lambda _self: None)
        self._next_at = 0
        go_on(self)

    go_on = WritingOut.go_on
    monkeypatch.setattr(processes, "cores", lambda: 3)
    monkeypatch.setattr(WritingOut, "go_on", asked_once)
    monkeypatch.setattr(durable, "sync_file_system", lambda _fd: refuse() if os.getpid() != caller else None)
    destroy(project)
    destroyed = facts(project)
    with pytest.raises(RestoreError, match="did not reach the disk: Input/output error"):
        restore(vault, scenario="full")
    assert_same(destroyed, project)
    assert beside(project) == set()
    assert_no_child_is_left()


def test_a_worker_that_is_killed_leaves_the_project_as_it_was(
    large: Made, project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = extract.create

    def killed(directory_fd: int, name: bytes, *rest: Any, **options: Any) -> None:
        if name == b"film":
            os.kill(os.getpid(), signal.SIGKILL)
        write(directory_fd, name, *rest, **options)

    monkeypatch.setattr(extract, "create", killed)
    destroy(project)
    destroyed = facts(project)
    with pytest.raises(CoraError, match="A worker process was killed by signal 9"):
        restore(vault, scenario="full")
    assert_same(destroyed, project)
    assert beside(project) == set()
    monkeypatch.undo()
    restore(vault, scenario="full")
    assert (project / "film").stat().st_size == 40 * MIB
