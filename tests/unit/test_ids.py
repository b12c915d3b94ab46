# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ids: never two alike, in order of time, found by their beginning; several projects in one vault."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils import vault as vault_module
from ansible_collections.cora.backup.plugins.module_utils.catalog import checkpoint_rows, list_backups, resolve_id
from ansible_collections.cora.backup.plugins.module_utils.errors import (
    IntegrityError,
    NotFoundError,
    ProjectError,
    VaultError,
)
from ansible_collections.cora.backup.plugins.module_utils.layout import read_report
from ansible_collections.cora.backup.plugins.module_utils.marks import set_pin, set_tag
from ansible_collections.cora.backup.plugins.module_utils.project_meant import project_meant, project_to_save
from ansible_collections.cora.backup.plugins.module_utils.vault import Vault
from ansible_collections.cora.backup.plugins.module_utils.verify import verify_backup
from support.engine import backup
from support.tools import tool

#: Keys of a report that nothing is decided by.
NOBODY_NEEDS = {
    "seal", "codec", "duration_seconds", "large_files", "skipped", "excluded", "database_side_files",
    "changed_while_read", "archive_sha256", "reused", "owners",
}  # fmt: skip


def fake(vault: Path, *ids: str, project: str = "/srv/project") -> None:
    """Backups of which only the report matters."""
    for backup_id in ids:
        (vault / backup_id).mkdir(parents=True)
        report = {"format": "cora-report", "version": 1, "id": backup_id, "kind": "full", "project": project}
        (vault / backup_id / "REPORT.json").write_text(json.dumps({**EMPTY_REPORT, **report}))


EMPTY_REPORT: dict[str, Any] = {
    "settings": {"exclude": [], "critical": [], "logs": []}, "entries": {}, "files": 0, "size_bytes": 0,
    "stored_bytes": 0, "archive_bytes": 1, "critical": [], "databases": [], "cut_logs": [], "unreadable": [],
    "incomplete": False, "warnings": [], "created_at": "2026-01-01T00:00:00Z",
}  # fmt: skip


def set_clock(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return moment

    monkeypatch.setattr(vault_module, "datetime", Clock)


NOON = datetime(2026, 6, 1, 12, 0, 0, tzinfo=timezone.utc)


def test_id_is_the_time_and_the_commit(project: Path, vault: Path) -> None:
    tool("git", "init", "-q", cwd=project)
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org")
    assert backup(project, vault).id.endswith("-nogit"), "there is no commit yet"
    tool(*git, "commit", "-q", "--allow-empty", "-m", "first", cwd=project)
    before = datetime.now(timezone.utc)
    made = backup(project, vault)
    sha = tool("git", "rev-parse", "HEAD", cwd=project).decode()
    moment, suffix = made.id[:15], made.id[16:]
    assert sha.startswith(suffix)
    assert len(suffix) >= 7
    assert abs(datetime.strptime(moment + "+0000", "%Y%m%d-%H%M%S%z") - before) < timedelta(seconds=5)
    assert made.path == vault / made.id


def test_runs_in_one_second_get_ids_in_order(project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, NOON)
    ids = [backup(project, vault).id for _ in range(3)]
    assert ids == ["20260601-120000-nogit", "20260601-120001-nogit", "20260601-120002-nogit"]


def test_clock_that_was_set_back_does_not_make_an_older_backup(
    project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_clock(monkeypatch, NOON)
    first = backup(project, vault).id
    set_clock(monkeypatch, NOON - timedelta(days=400))
    second = backup(project, vault).id
    assert second > first
    assert resolve_id(str(vault), "latest") == second


def test_id_is_not_used_again_when_only_its_suffix_differs(vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(vault, "20260601-120000-abcdef1")
    set_clock(monkeypatch, NOON)
    assert Vault(str(vault)).new_id("0000000") == "20260601-120001-0000000"


def test_list_is_newest_first(vault: Path) -> None:
    ids = ["20251231-235959-nogit", "20260101-000000-aaaaaaa", "20260101-000001-0000000"]
    fake(vault, ids[1], ids[2], ids[0])
    assert [row["id"] for row in list_backups(str(vault))] == ids[::-1]


def test_list_holds_what_a_backup_said(project: Path, vault: Path) -> None:
    made = backup(project, vault)
    (row,) = list_backups(str(vault))
    assert row == {**row, "id": made.id, "kind": "full", "project": str(project), "files": 3, "sealed": True,
                   "size_bytes": made.report["size_bytes"], "archive_bytes": made.report["archive_bytes"],
                   "verified_at": None, "verified_ok": None, "warnings": 0, "problem": None, "incomplete": False,
                   "path": str(made.path), "created_at": made.report["created_at"]}  # fmt: skip
    json.dumps(row)


def test_only_directories_of_the_right_name_are_backups(vault: Path) -> None:
    fake(vault, "20260101-000000-aaaaaaa")
    for name in ("lost+found", "20260101", "20260101-000000", "20260101-000000-XYZ", "20260101-000000-abc",
                 "20260101-000000-aaaaaaa.bak", "x20260101-000000-aaaaaaa"):  # fmt: skip
        (vault / name).mkdir()
    (vault / "20260102-000000-nogit").write_text("a file")
    (vault / "20260103-000000-nogit").symlink_to("20260101-000000-aaaaaaa")
    assert Vault(str(vault)).ids() == ["20260101-000000-aaaaaaa"]


def test_directory_whose_name_is_no_time_is_no_backup(vault: Path) -> None:
    fake(vault, "20260101-000000-aaaaaaa", "20269999-000000-aaaaaaa", "20260101-256199-nogit")
    assert [row["id"] for row in list_backups(str(vault))] == ["20260101-000000-aaaaaaa"]


def test_vault_that_is_not_there_or_no_directory(tmp_path: Path) -> None:
    assert list_backups(str(tmp_path / "missing")) == []
    with pytest.raises(NotFoundError, match="no backup"):
        resolve_id(str(tmp_path / "missing"), "latest")
    (tmp_path / "file").write_text("x")
    with pytest.raises(VaultError):
        list_backups(str(tmp_path / "file"))


# --- what a person types


IDS = ("20260101-000000-aaaaaaa", "20260101-120000-bbbbbbb", "20260202-000000-ccccccc")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("latest", IDS[2]), (IDS[0], IDS[0]), ("20260202", IDS[2]), ("20260101-12", IDS[1]), (IDS[1][:-1], IDS[1])],
)
def test_beginning_of_one_id_is_enough(text: str, expected: str, vault: Path) -> None:
    fake(vault, *IDS)
    assert resolve_id(str(vault), text) == expected


@pytest.mark.parametrize("text", ["2", "20260101", "20260101-"])
def test_ambiguous_beginning_names_the_candidates(text: str, vault: Path) -> None:
    fake(vault, *IDS)
    with pytest.raises(NotFoundError, match=r"beginning of \d ids, the newest: .*20260101-120000-bbbbbbb"):
        resolve_id(str(vault), text)


@pytest.mark.parametrize("text", ["", "x", "LATEST", "aaaaaaa", "..", "/etc", "20260101-000000-aaaaaaa/", "\x1b[2J"])
def test_unknown_id_says_what_there_is(text: str, vault: Path) -> None:
    fake(vault, *IDS)
    with pytest.raises(NotFoundError, match="20260202-000000-ccccccc") as failure:
        resolve_id(str(vault), text)
    assert "\x1b" not in str(failure.value)


def test_id_that_is_the_beginning_of_another_means_itself(vault: Path) -> None:
    fake(vault, "20260101-000000-aaaaaaa", "20260101-000000-aaaaaaab")
    assert resolve_id(str(vault), "20260101-000000-aaaaaaa") == "20260101-000000-aaaaaaa"


# --- several projects


def test_latest_of_a_shared_vault_needs_a_project(vault: Path) -> None:
    fake(vault, IDS[0], IDS[1], project="/srv/one")
    fake(vault, IDS[2], project="/srv/two")
    with pytest.raises(NotFoundError, match="/srv/one, /srv/two"):
        resolve_id(str(vault), "latest")
    assert resolve_id(str(vault), "latest", "/srv/one") == IDS[1]
    assert resolve_id(str(vault), "latest", "/srv/one/") == IDS[1]
    assert resolve_id(str(vault), "latest", "/srv/two") == IDS[2]
    with pytest.raises(NotFoundError, match="/srv/three"):
        resolve_id(str(vault), "latest", "/srv/three")
    assert resolve_id(str(vault), IDS[2], "/srv/one") == IDS[2], "who gives an id means it"


def test_two_projects_back_up_into_one_vault(project: Path, tmp_path: Path, vault: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    first, second, third = backup(project, vault), backup(other, vault), backup(project, vault)
    assert first.id < second.id < third.id
    assert resolve_id(str(vault), "latest", str(other)) == second.id
    assert resolve_id(str(vault), "latest", str(project)) == third.id


def test_who_stands_in_another_project_never_means_that_of_the_vault(
    project: Path, tmp_path: Path, vault: Path
) -> None:
    made, other, plain = backup(project, vault), tmp_path / "other", tmp_path / "plain"
    for directory in (other / ".git", other / "src", plain):
        directory.mkdir(parents=True)
    meant = project_meant(str(vault), project=None, search_from=str(other / "src"))
    assert meant == str(other)
    with pytest.raises(NotFoundError) as failure:
        resolve_id(str(vault), "latest", meant)
    assert f"is of {other}; it holds backups of {project}: say which with --project." in str(failure.value)
    assert resolve_id(str(vault), made.id, meant) == made.id
    assert project_meant(str(vault), project=None, search_from=str(plain)) is None, "a bare machine"
    (other / "galaxy.yml").write_text("namespace: cora\nname: backup\n")
    assert project_meant(str(vault), project=None, search_from=str(other)) is None, "cora's own checkout"


def test_a_project_that_the_vault_knows_is_meant_without_git_too(project: Path, tmp_path: Path, vault: Path) -> None:
    """A full restore brings no .git back; and a clone in a project is part of it."""
    link, clone = tmp_path / "link", project / "vendor" / "clone"
    link.symlink_to(project)
    with pytest.raises(ProjectError, match="--project"):
        project_to_save(str(vault), str(project))
    backup(project, vault)
    for directory in (project, project / "src", link / "src"):
        assert project_meant(str(vault), project=None, search_from=str(directory)) == str(project)
        assert project_to_save(str(vault), str(directory)) == str(project)
    (clone / ".git").mkdir(parents=True)
    assert project_meant(str(vault), project=None, search_from=str(clone)) == str(project)
    assert project_to_save(str(vault), str(clone)) == str(clone)
    with pytest.raises(ProjectError, match="--project"):
        project_to_save(str(vault), str(tmp_path))


def test_a_project_that_was_named_through_a_link_is_the_one_it_leads_to(
    project: Path, tmp_path: Path, vault: Path
) -> None:
    through = tmp_path / "way" / project.name
    through.parent.symlink_to(tmp_path)
    (project / ".git").mkdir()
    backup(through, vault)
    assert project_meant(str(vault), project=None, search_from=str(project / "src")) == str(through)
    backup(project, vault)
    assert project_meant(str(vault), project=None, search_from=str(project / "src")) == str(project)


# --- what stands beside what is sealed


def test_pins_count_where_their_directory_cannot_be_listed(vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user may be allowed to enter it only."""
    fake(vault, *IDS)
    keeper = Vault(str(vault))
    set_pin(keeper, IDS[0], on=True)
    set_tag(keeper, IDS[1], "kept", on=True)
    keeper.prepare()
    keeper.note_verified(IDS[2], {"at": "2026-01-01T00:00:00Z", "ok": True})
    expected = list_backups(str(vault))
    assert [(row["pinned"], row["tags"], row["verified_ok"]) for row in expected] == [
        (False, [], True), (False, ["kept"], None), (True, [], None)
    ]  # fmt: skip

    def refuse(path: str) -> list[str]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", refuse)
    assert list_backups(str(vault)) == expected


def test_only_what_has_the_name_of_a_checkpoint_is_one(vault: Path) -> None:
    day = vault / "progress/2026/01/02"
    for name in ("030405-abcdef0", "030405-nogit", "030405-xyz", "250000-nogit", ".030405-nogit", "030405"):
        (day / name).mkdir(parents=True)
    for wrong in (
        "progress/2026/1/02",
        "progress/2026/01/xx",
        "progress/26/01/02",
        "progress/\u0662\u0660\u0662\u0666/01/02",
    ):
        (vault / wrong / "030405-nogit").mkdir(parents=True)
    (vault / "progress/2026/03").write_text("no directory")
    (vault / "progress/2026/02").symlink_to("01")
    assert Vault(str(vault)).checkpoint_ids() == [
        "20260102-030405-abcdef0", "20260102-030405-nogit", "20260202-030405-abcdef0", "20260202-030405-nogit"
    ]  # fmt: skip


def test_checkpoints_that_cannot_be_listed_are_an_error(vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (vault / "progress/2026/01/02/030405-nogit").mkdir(parents=True)
    listdir = os.listdir

    def refuse(path: str) -> list[str]:
        if path.endswith("/01"):
            raise PermissionError(13, "Permission denied", path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(VaultError, match="Permission denied"):
        Vault(str(vault)).checkpoint_ids()


def test_a_checkpoint_behind_a_link_is_not_sealed(project: Path, vault: Path) -> None:
    made = backup(project, vault)
    day = vault / "progress/2026/01/02"
    day.mkdir(parents=True)
    (day / "030405-nogit").symlink_to(made.path)
    (row,) = checkpoint_rows(str(vault))
    assert (row["id"], row["sealed"], row["project"]) == ("20260102-030405-nogit", False, str(project))


# --- a damaged report


def test_damaged_report_is_listed_as_damaged(vault: Path) -> None:
    fake(vault, *IDS)
    (vault / IDS[1] / "REPORT.json").write_bytes(b"{\xff")
    (vault / IDS[2] / "REPORT.json").unlink()
    rows = {row["id"]: row for row in list_backups(str(vault))}
    assert [bool(rows[backup_id]["problem"]) for backup_id in IDS] == [False, True, True]
    json.dumps(list(rows.values()))


def test_newest_backup_is_not_passed_over_because_its_report_is_damaged(vault: Path) -> None:
    fake(vault, *IDS)
    (vault / IDS[2] / "REPORT.json").write_text("{}")
    assert resolve_id(str(vault), "latest") == IDS[2]
    assert resolve_id(str(vault), "latest", "/srv/project") == IDS[2]


def test_every_key_of_a_report_is_missed_when_it_is_damaged(project: Path, vault: Path, tmp_path: Path) -> None:
    """One flipped bit in a key leaves good JSON, in which something is missing."""
    good = backup(project, vault).report
    (tmp_path / "copy").mkdir()
    for key in set(good) - NOBODY_NEEDS:
        for changed in ({key[:-1] + "~": good[key]}, {key: None}):
            document = {name: value for name, value in good.items() if name != key} | changed
            (tmp_path / "copy" / "REPORT.json").write_text(json.dumps(document))
            with pytest.raises(IntegrityError):
                read_report(str(tmp_path / "copy"))


# --- what a check leaves behind


def test_check_is_remembered_in_the_list(project: Path, vault: Path) -> None:
    first, second = backup(project, vault), backup(project, vault)
    verify_backup(str(vault), first.id)
    rows = {row["id"]: row for row in list_backups(str(vault))}
    assert (rows[first.id]["verified_ok"], rows[first.id]["verified_quick"]) == (True, False)
    assert rows[first.id]["verified_at"] >= rows[first.id]["created_at"]
    assert rows[second.id]["verified_at"] is None
    verify_backup(str(vault), second.id[:-1], quick=True)
    rows = {row["id"]: row for row in list_backups(str(vault))}
    assert (rows[second.id]["verified_ok"], rows[second.id]["verified_quick"]) == (True, True)


def test_damage_is_remembered_in_the_list(project: Path, vault: Path) -> None:
    made = backup(project, vault)
    tool("chattr", "-i", made.path / "MANIFEST.txt")
    with open(made.path / "MANIFEST.txt", "ab") as stream:
        stream.write(b"x")
    assert verify_backup(str(vault), made.id, quick=True)["ok"] is False
    assert list_backups(str(vault))[0]["verified_ok"] is False


@pytest.mark.parametrize("note", [b"", b"[]", b"{", b"\xff"])
def test_damaged_note_is_no_note(note: bytes, project: Path, vault: Path) -> None:
    made = backup(project, vault)
    verify_backup(str(vault), made.id, quick=True)
    (vault / ".cora" / "verified" / f"{made.id}.json").write_bytes(note)
    assert list_backups(str(vault))[0]["verified_at"] is None


def test_check_of_a_vault_that_cannot_be_written_still_answers(project: Path, vault: Path, tmp_path: Path) -> None:
    made = backup(project, vault)
    tool("chattr", "+i", vault / ".cora" / "verified")
    result = verify_backup(str(vault), made.id)
    assert result["ok"] is True
    assert os.listdir(vault / ".cora" / "verified") == []
