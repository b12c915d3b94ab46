# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints: base, minus deleted, plus changes is the project, by our restore and by tar alone."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils.auto import save_or_verify
from ansible_collections.cora.backup.plugins.module_utils.checkpoint import save
from ansible_collections.cora.backup.plugins.module_utils.restore import plan_restore
from ansible_collections.cora.backup.plugins.module_utils.settings import BackupSettings, RestoreRequest
from ansible_collections.cora.backup.plugins.module_utils.undo import undo_last
from ansible_collections.cora.backup.plugins.module_utils.verify import verify_backup
from jsonschema import Draft202012Validator
from support.compare import differences, facts
from support.engine import Document, backup, restore
from support.tools import remove_sealed, run, tool
from support.trees import fill

SCHEMA = Path(__file__).resolve().parents[2] / "docs/report.schema.json"
ODD_NAMES = (b"new\nline", b"back\\slash", b"\\n", b"end\\", b"latin1-\xe9", b"-rf", b" space ", b"!before", b"\r")


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What reaches the disk is for tests/faults."""
    monkeypatch.setattr("os.fsync", lambda _fd: None)


@pytest.fixture
def big(project: Path) -> Path:
    """A project that is large beside what the tests change in it."""
    fill(os.fsencode(project / "ballast.bin"), 3_000_000)
    return project


def saved(project: Path, vault: Path, **settings: Any) -> Document:
    return save(BackupSettings(project=str(project), vault=str(vault), **settings))


def checkpoint(project: Path, vault: Path, **settings: Any) -> Document:
    """A checkpoint that must have been made, and must be as documented."""
    result = saved(project, vault, **settings)
    assert result["kind"] == "checkpoint", result
    path = Path(result["path"])
    assert path.parent.parent.parent.parent == vault / "progress"
    tool("sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS.txt", cwd=path)
    report = json.loads((path / "REPORT.json").read_bytes())
    Draft202012Validator(json.loads(SCHEMA.read_bytes())).validate(report)
    assert report["id"] == "".join(path.parts[-4:-1]) + "-" + path.name
    assert verify_backup(str(vault), result["id"])["ok"]
    assert b"i" in tool("lsattr", "-d", path).split()[0]
    return result


def by_hand(vault: Path, id_text: str, target: Path) -> None:
    """The commands of the plan, as a person would type them, into a new place."""
    request = RestoreRequest(vault=str(vault), id_text=id_text, project=str(target), check=True)
    commands = [line for line in plan_restore(request)["commands"]["full"] if not line.startswith("mv ")]
    done = run(["sh", "-eu", "-c", "\n".join(commands)])
    assert (done.returncode, done.stderr) == (0, b"")
    os.rename(f"{target}.new", target)


def without_excluded(top: Path) -> None:
    """Remove what no backup has, and set the times back that this changes."""
    for name in (".git", "node_modules"):
        if (top / name).exists():
            before = top.stat()
            shutil.rmtree(top / name)
            os.utime(top, ns=(before.st_atime_ns, before.st_mtime_ns))


def check_both_ways(project: Path, vault: Path, id_text: str, place: Path, *, databases: bool = False) -> None:
    """Restored by tar and by the engine, in a new place: byte for byte and to the nanosecond the project."""
    wanted = place / "wanted"
    tool("cp", "-a", project, wanted)
    without_excluded(wanted)
    hand, engine = place / "hand", place / "engine"
    by_hand(vault, id_text, hand)
    restore(vault, id_text, project=engine, scenario="full", keep_setuid=True)
    if not databases:
        for made in (hand, engine):
            assert differences(facts(wanted), facts(made)) == []
            tool("diff", "-r", "--no-dereference", "--exclude=fifo", wanted, made)
        if shutil.which("rsync"):
            options = ("rsync", "-aHAXn", "--checksum", "--delete", "--itemize-changes")
            assert tool(*options, f"{wanted}/", f"{hand}/") == b""
            assert tool(*options, f"{wanted}/", f"{engine}/") == b""
    assert differences(facts(hand), facts(engine)) == []
    for made in (wanted, hand, engine):
        shutil.rmtree(made)


# --- what is saved when ---


def test_the_first_save_is_a_backup_and_the_next_nothing(big: Path, vault: Path) -> None:
    first = saved(big, vault)
    assert (first["kind"], first["changed"]) == ("full", True)
    again = saved(big, vault)
    assert (again["kind"], again["changed"], again["id"]) == (None, False, first["id"])
    assert not (vault / "progress").exists()


def test_a_checkpoint_and_then_nothing(big: Path, vault: Path) -> None:
    base = backup(big, vault)
    (big / "README.md").write_text("newer\n")
    result = checkpoint(big, vault)
    assert (result["base"], result["files"], result["deleted"]) == (base.id, 1, 0)
    assert saved(big, vault)["id"] == result["id"]
    assert saved(big, vault)["changed"] is False


def test_check_says_what_it_would_be_and_makes_nothing(big: Path, vault: Path) -> None:
    settings = BackupSettings(project=str(big), vault=str(vault))
    assert save(settings, check=True)["kind"] == "full"
    assert not vault.exists()
    backup(big, vault)
    assert save(settings, check=True)["kind"] is None
    (big / "README.md").write_text("newer\n")
    assert save(settings, check=True) | {"warnings": None} == save(settings, check=True) | {"warnings": None}
    assert save(settings, check=True)["kind"] == "checkpoint"
    assert not (vault / "progress").exists()


def test_each_checkpoint_is_over_the_backup_and_not_over_another(big: Path, vault: Path, tmp_path: Path) -> None:
    base = backup(big, vault)
    for number in range(3):
        (big / f"new{number}").write_text(f"{number}\n")
        assert checkpoint(big, vault)["base"] == base.id
    (big / "new0").unlink()
    last = checkpoint(big, vault)
    check_both_ways(big, vault, last["id"], tmp_path)


def test_much_changed_is_followed_by_a_backup(big: Path, vault: Path) -> None:
    backup(big, vault)
    fill(os.fsencode(big / "more.bin"), 2_000_000, seed=1)
    assert checkpoint(big, vault)["kind"] == "checkpoint"
    assert saved(big, vault)["changed"] is False
    (big / "README.md").write_text("and a bit\n")
    assert saved(big, vault)["kind"] == "full"
    assert saved(big, vault)["changed"] is False


def test_auto_makes_a_backup_at_once_where_much_changed(big: Path, vault: Path) -> None:
    settings = BackupSettings(project=str(big), vault=str(vault))
    assert save_or_verify(settings)["kind"] == "full"
    done = save_or_verify(settings)
    assert done["kind"] is None
    assert done["verification"]["ok"]
    (big / "README.md").write_text("a bit\n")
    assert save_or_verify(settings)["kind"] == "checkpoint"
    fill(os.fsencode(big / "more.bin"), 2_000_000, seed=1)
    assert save_or_verify(settings, check=True)["kind"] == "full"
    assert save_or_verify(settings)["kind"] == "full"


def test_two_projects_of_one_vault_do_not_mix(big: Path, vault: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    tool("cp", "-a", big, other)
    mine, theirs = backup(big, vault), backup(other, vault)
    for project, base in ((big, mine), (other, theirs)):
        (project / "README.md").write_text(f"{project}\n")
        assert checkpoint(project, vault)["base"] == base.id


# --- restored by both, and the project ---


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
@pytest.mark.parametrize("what", ["change", "remove one", "remove first", "rename", "add", "replace one", "nothing"])
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


@pytest.fixture
def patience() -> Callable[[], None]:
    """Waits until what was written is old enough to be recognized by its metadata."""
    import time

    return lambda: time.sleep(2.2)


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


@pytest.mark.parametrize("what", ONLY_METADATA)
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


# --- what may stand in the way ---


def test_patterns_that_changed_since_the_base(big: Path, vault: Path, tmp_path: Path) -> None:
    (big / "build").mkdir()
    (big / "build" / "out.o").write_text("object\n")
    (big / "node_modules").mkdir()
    (big / "node_modules" / "x.js").write_text("x\n")
    backup(big, vault)
    wanted = checkpoint(big, vault, exclude=("build/", ".git/"))
    restore(vault, wanted["id"], project=tmp_path / "engine", scenario="full")
    by_hand(vault, wanted["id"], tmp_path / "hand")
    for made in ("engine", "hand"):
        assert (tmp_path / made / "node_modules/x.js").read_text() == "x\n"
        assert not (tmp_path / made / "build").exists()
    restore(vault, wanted["id"], project=big, scenario="full")
    assert (big / "build/out.o").read_text() == "object\n"


def test_a_base_that_is_gone(big: Path, vault: Path) -> None:
    first, second = backup(big, vault), backup(big, vault)
    (big / "README.md").write_text("newer\n")
    orphan = checkpoint(big, vault)
    tool("chattr", "-a", vault)
    remove_sealed(second.path)
    (big / "README.md").write_text("newest\n")
    assert checkpoint(big, vault)["base"] == first.id
    assert verify_backup(str(vault), orphan["id"])["ok"] is False
    tool("chattr", "-a", vault)
    remove_sealed(first.path)
    (big / "README.md").write_text("newest of all\n")
    assert saved(big, vault)["kind"] == "full"


@pytest.mark.parametrize("name", ["INDEX.jsonl.gz", "REPORT.json", "cora-full.tar.gz"])
def test_a_base_that_is_damaged(big: Path, vault: Path, name: str) -> None:
    base = backup(big, vault)
    tool("chattr", "-i", base.path / name)
    data = bytearray((base.path / name).read_bytes())
    data[len(data) // 2 :] = b"\0" * (len(data) - len(data) // 2)
    (base.path / name).write_bytes(bytes(data))
    if name == "cora-full.tar.gz":  # nobody reads that for a checkpoint, but a check does
        assert not verify_backup(str(vault), base.id)["ok"]
    (big / "README.md").write_text("newer\n")
    assert saved(big, vault)["kind"] == "full"


@pytest.mark.parametrize("name", ["INDEX.jsonl.gz", "REPORT.json", "deleted.txt"])
def test_a_damaged_checkpoint_is_no_state_to_build_on(big: Path, vault: Path, name: str) -> None:
    backup(big, vault)
    (big / "README.md").write_text("newer\n")
    (big / "empty").rmdir()
    damaged = checkpoint(big, vault)
    path = Path(damaged["path"]) / name
    tool("chattr", "-i", path)
    path.write_bytes(b"\0" * path.stat().st_size)
    again = checkpoint(big, vault)
    assert (again["files"], again["deleted"]) == (1, 1)


def test_mass_deletion_is_said_and_latest_still_has_all(big: Path, vault: Path) -> None:
    for number in range(60):
        (big / "src" / f"{number}.py").write_text("x\n")
    base = backup(big, vault)
    shutil.rmtree(big / "src")
    result = checkpoint(big, vault)
    assert any(f"cora restore {base.id}" in text and "62 of" in text for text in result["warnings"])
    restore(vault, "latest", project=big, scenario="full")
    assert len(list((big / "src").iterdir())) == 61


@pytest.fixture
def others() -> Iterator[Path]:
    """A directory that any user reaches."""
    with tempfile.TemporaryDirectory(prefix="cora-") as path:
        os.chmod(path, 0o711)
        yield Path(path)


def test_what_nobody_can_read_is_not_deleted_and_not_new_each_time(big: Path, vault: Path, others: Path) -> None:
    place = others / "theirs"
    tool("cp", "-a", big, place)
    (place / "closed").mkdir()
    (place / "closed" / "file").write_text("x\n")
    (place / "secret").write_text("x\n")
    tool("chown", "-R", "nobody", place)
    backup(place, vault)
    before = os.geteuid()
    (place / "closed").chmod(0)
    tool("chown", "root", place / "secret", place / "closed")
    (place / "secret").chmod(0o600)
    (others / "v").mkdir()
    tool("cp", "-a", f"{vault}/.", others / "v")
    tool("chown", "-R", "nobody", others / "v")
    os.seteuid(65534)
    try:
        first = saved(place, others / "v", seal="best_effort")
        again = saved(place, others / "v", seal="best_effort")
    finally:
        os.seteuid(before)
    assert first["kind"] == "checkpoint"
    assert first["incomplete"]
    assert first["deleted"] == 0
    assert again["changed"] is False


def test_a_repository_gets_its_diff(big: Path, vault: Path) -> None:
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", big)
    tool("git", "-c", "init.defaultBranch=main", "init", "-q", big)
    tool(*git, "add", "README.md")
    tool(*git, "commit", "-qm", "one")
    backup(big, vault)
    (big / "README.md").write_text("# changed\n")
    result = checkpoint(big, vault)
    assert result["id"].endswith(tool(*git, "rev-parse", "--short", "HEAD").decode().strip())
    assert b"+# changed" in (Path(result["path"]) / "git.diff").read_bytes()
    tool("git", "-C", big, "checkout", "-q", "README.md")
    tool("git", "-C", big, "apply", Path(result["path"]) / "git.diff")
    assert (big / "README.md").read_text() == "# changed\n"


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


def test_a_bystander_cannot_read_a_checkpoint(big: Path, vault: Path) -> None:
    backup(big, vault)
    (big / "README.md").write_text("newer\n")
    made = checkpoint(big, vault)
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", "cat", f"{made['path']}/deleted.txt"],
        capture_output=True,
        check=False,
    )
    assert done.returncode != 0


def test_a_check_says_what_a_checkpoint_without_its_base_is_worth(big: Path, vault: Path) -> None:
    made = backup(big, vault)
    (big / "AI_WORK_LOG.md").write_text("more\n")
    result = checkpoint(big, vault)
    tool("chattr", "-a", vault)
    tool("chattr", "-R", "-i", made.path)
    made.path.rename(vault.parent / "away")
    found = verify_backup(str(vault), result["id"])
    assert not found["ok"]
    assert f"by hand: tar -xzf {result['path']}/changes.tar.gz" in found["restorable"]
    (vault.parent / "away").rename(made.path)
    with made.archive.open("r+b") as stream:
        stream.write(b"damage")
    found = verify_backup(str(vault), result["id"])
    assert "base backup is damaged" in found["restorable"]
