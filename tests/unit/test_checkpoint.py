# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints: when one is made, over which base, and what may stand in the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils.auto import save_or_verify
from ansible_collections.cora.backup.plugins.module_utils.checkpoint import save
from ansible_collections.cora.backup.plugins.module_utils.settings import BackupSettings
from ansible_collections.cora.backup.plugins.module_utils.verify import verify_backup
from support.checkpoints import by_hand, check_both_ways, checkpoint, saved
from support.engine import backup, restore
from support.tools import remove_sealed, tool
from support.trees import fill


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


def test_a_directory_that_nobody_can_read_any_more_is_told_once(big: Path, others: Path) -> None:
    place, vault = others / "theirs", others / "v"
    tool("cp", "-a", big, place)
    (place / "closed").mkdir()
    (place / "closed" / "file").write_text("x\n")
    vault.mkdir(mode=0o700)
    tool("chown", "-R", "nobody", place, vault)
    before = os.geteuid()
    os.seteuid(65534)
    try:
        backup(place, vault, seal="best_effort")
        (place / "closed").chmod(0)
        first = saved(place, vault, seal="best_effort")
        again = saved(place, vault, seal="best_effort")
    finally:
        os.seteuid(before)
    assert (first["kind"], first["incomplete"], first["deleted"]) == ("checkpoint", True, 0)
    assert "closed" in first["warnings"][0]
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
