# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules: what they answer, in check mode and outside, and how they fail."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Protocol

import pytest
from ansible_collections.cora.backup.plugins.module_utils import wiring
from support.engine import backup
from support.modules import run_module


class Run(Protocol):
    def __call__(self, name: str, *, check: bool = False, diff: bool = False, **options: Any) -> dict[str, Any]: ...


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run_it(name: str, *, check: bool = False, diff: bool = False, **options: Any) -> dict[str, Any]:
        return run_module(capsys, name, check=check, diff=diff, **options)

    return run_it


def lsattr(path: Path) -> str:
    return subprocess.run(["lsattr", "-d", path], capture_output=True, text=True, check=True).stdout.split()[0]


def test_snapshot_makes_a_backup_and_in_check_mode_none(run: Run, project: Path, vault: Path) -> None:
    result = run("snapshot", check=True, project=project, vault=vault)
    assert result["changed"]
    assert "Nothing was changed." in result["summary"]
    assert not vault.exists()

    result = run("snapshot", project=project, vault=vault)
    assert result["changed"]
    assert result["sealed"]
    assert result["files"] == 3
    assert result["summary"][0] == f"Backup {result['id']} of {project} is complete."
    assert "i" in lsattr(Path(result["path"]))


def test_snapshot_finds_the_work_tree_around_a_directory(run: Run, project: Path, vault: Path) -> None:
    (project / ".git").mkdir()
    result = run("snapshot", search_from=project / "src", vault=vault)
    assert result["project"] == str(project)


def test_snapshot_gives_its_warnings_to_ansible(run: Run, project: Path, vault: Path) -> None:
    (project / "torn_in_a_module.db").write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 8)
    result = run("snapshot", project=project, vault=vault)
    assert any("torn_in_a_module.db" in str(warning) for warning in result["warnings"])
    assert any("torn_in_a_module.db" in line for line in result["summary"])


def test_snapshot_names_the_class_of_its_error(run: Run, project: Path) -> None:
    result = run("snapshot", project=project, vault=project / "vault")
    assert result["failed"]
    assert result["error"] == "SettingsError"
    assert "lies inside the project" in result["msg"]


def test_checksum_of_an_intact_backup(run: Run, project: Path, vault: Path) -> None:
    made = backup(project, vault)
    result = run("checksum", vault=vault)
    assert not result["changed"]
    assert result["ok"]
    assert result["id"] == made.id


def test_checksum_fails_and_lists_every_damaged_file(run: Run, project: Path, vault: Path) -> None:
    made = backup(project, vault)
    for name in ("MANIFEST.txt", "critical/README.md"):
        damaged = made.path / name
        run("chattr", path=damaged, attributes=["immutable"], state="absent")
        damaged.write_bytes(b"x" + damaged.read_bytes()[1:])
    result = run("checksum", vault=vault)
    assert result["failed"]
    assert result["error"] == "IntegrityError"
    assert {entry["artifact"] for entry in result["damaged"]} == {"MANIFEST.txt", "critical/README.md"}
    assert "MANIFEST.txt" in result["msg"]
    assert "critical/README.md" in result["msg"]


def test_checksum_of_a_backup_that_is_not_there(run: Run, vault: Path) -> None:
    result = run("checksum", vault=vault)
    assert result["failed"]
    assert result["error"] == "NotFoundError"


def test_chattr_sets_once_and_clears_once(run: Run, project: Path, vault: Path) -> None:
    file = project / "README.md"
    for state, flag in (("present", True), ("absent", False)):
        check = run("chattr", check=True, diff=True, path=file, attributes=["immutable"], state=state)
        assert check["changed"]
        assert str(file) in check["diff"]["before"]
        assert ("i" in lsattr(file)) is not flag
        assert run("chattr", path=file, attributes=["immutable"], state=state)["changed"]
        assert ("i" in lsattr(file)) is flag
        assert not run("chattr", path=file, attributes=["immutable"], state=state)["changed"]


def test_chattr_goes_down_a_tree_and_follows_no_link(run: Run, project: Path, tmp_path: Path, vault: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("x")
    (project / "link").symlink_to(outside)
    result = run("chattr", path=project, attributes=["immutable"], recursive=True)
    assert result["changed_count"] == len(result["changed_paths"]) == 6
    assert "i" in lsattr(project / "src/main.py")
    assert "i" not in lsattr(outside)
    run("chattr", path=project, attributes=["immutable"], recursive=True, state="absent")
    assert "i" not in lsattr(project / "src/main.py")


def test_chattr_of_what_is_not_there(run: Run, tmp_path: Path) -> None:
    result = run("chattr", path=tmp_path / "nothing", attributes=["immutable"])
    assert result["failed"]
    assert "nothing" in result["msg"]


def test_backup_info_lists_newest_first_and_one(run: Run, project: Path, vault: Path) -> None:
    assert run("backup_info", vault=vault)["backups"] == []
    first, second = backup(project, vault), backup(project, vault)
    listed = run("backup_info", vault=vault)
    assert [row["id"] for row in listed["backups"]] == [second.id, first.id]
    assert [row["id"] for row in run("backup_info", vault=vault, id=first.id)["backups"]] == [first.id]
    assert run("backup_info", vault=vault, project="/somewhere/else")["backups"] == []
    assert run("backup_info", vault=vault, id="1999")["failed"]


def test_restore_plans_by_default_and_changes_nothing(run: Run, project: Path, vault: Path) -> None:
    backup(project, vault)
    (project / "README.md").write_text("newer\n")
    result = run("restore", vault=vault, id="latest")
    assert not result["changed"]
    assert set(result["commands"]) == {"files", "critical", "full"}
    assert "diff" not in result
    assert (project / "README.md").read_text() == "newer\n"


def test_restore_and_undo_of_a_file_with_check_and_diff(run: Run, project: Path, vault: Path) -> None:
    backup(project, vault)
    file = project / "README.md"
    file.write_text("newer\n")
    options: dict[str, Any] = {"vault": vault, "id": "latest", "scenario": "files", "files": ["README.md"]}
    check = run("restore", check=True, diff=True, **options)
    assert check["changed"]
    assert "README.md" in check["diff"]["before"]
    assert file.read_text() == "newer\n"

    assert run("restore", **options)["changed"]
    assert file.read_text() == "# readme\n"
    assert not run("restore", check=True, **options)["changed"]
    assert not run("restore", **options)["changed"]

    assert run("restore_undo", check=True, vault=vault)["changed"]
    assert file.read_text() == "# readme\n"
    assert run("restore_undo", vault=vault)["changed"]
    assert file.read_text() == "newer\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scenario": "files"}, "files"),
        ({"scenario": "full", "files": ["README.md"]}, "files goes with scenario files"),
        ({"scenario": "everything"}, "must be one of"),
        ({"id": "1999"}, "1999"),
        ({"services": [{"kind": "systemd"}]}, "name"),
    ],
)
def test_restore_refuses_what_contradicts(
    run: Run, project: Path, vault: Path, options: dict[str, Any], message: str
) -> None:
    backup(project, vault)
    result = run("restore", **{"vault": vault, "id": "latest", **options})
    assert result["failed"]
    assert message in result["msg"]


def test_restore_does_not_put_one_project_over_another_unasked(
    run: Run, project: Path, vault: Path, tmp_path: Path
) -> None:
    made = backup(project, vault)
    other = tmp_path / "other"
    other.mkdir()
    options: dict[str, Any] = {"vault": vault, "id": made.id, "project": other, "scenario": "full"}
    result = run("restore", **options)
    assert result["error"] == "SettingsError"
    assert "target" in result["msg"]
    assert run("restore", target=other, **options)["changed"]
    assert (other / "README.md").read_text() == "# readme\n"


@pytest.mark.parametrize("name", ["spaces_info", "spaces_upload", "spaces_prune"])
def test_what_needs_boto3_says_so(run: Run, vault: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(wiring, "find_spec", lambda _name: None)
    result = run(name, vault=vault)
    assert (result["failed"], result["error"]) == (True, "ImportError")
    assert "boto3" in result["msg"]


def test_undo_without_a_restore(run: Run, project: Path, vault: Path) -> None:
    backup(project, vault)
    result = run("restore_undo", vault=vault)
    assert result["failed"]
    assert result["error"] == "NotFoundError"


def test_search_from_a_project_without_backups_never_leads_to_another(
    run: Run, project: Path, vault: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    (other / ".git").mkdir(parents=True)
    assert run("snapshot", project=project, vault=vault)["changed"]
    (project / "README.md").write_text("newer\n")
    wanted: Any = {"id": "latest", "scenario": "files", "files": ["README.md"], "vault": vault}
    failed = run("restore", search_from=other, **wanted)
    assert f"is of {other}; it holds backups of {project}" in failed["msg"]
    assert (project / "README.md").read_text() == "newer\n"
    assert run("restore", search_from=project / "src", **wanted)["changed"]
    (project / "README.md").write_text("newest\n")
    assert f"no restore of {other} in" in run("restore_undo", search_from=other, vault=vault)["msg"]
    assert (project / "README.md").read_text() == "newest\n"
    assert run("restore_undo", search_from=project, vault=vault)["changed"]
