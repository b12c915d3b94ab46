# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans: what a restore would do, and which newer work would be lost; nothing is changed by asking."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError, NotFoundError
from support.compare import differences, facts
from support.engine import Document, backup, restore
from support.tools import tool


def at_age(path: Path, seconds: float) -> None:
    moment = time.time_ns() - int(seconds * 10**9)
    os.utime(path, ns=(moment, moment))


@pytest.fixture
def changed(project: Path, vault: Path) -> Path:
    """A project that went on after its backup: one file gone, one new, one edited, one older than the backup."""
    (project / "old.txt").write_text("old")
    (project / "old.txt-2").write_text("old")
    (project / "link").symlink_to("README.md")
    (project / ".git").mkdir()
    (project / ".git" / "HEAD").write_text("x")
    backup(project, vault)
    (project / "src" / "main.py").unlink()
    (project / "new.txt").write_text("new work")
    at_age(project / "new.txt", -3600)
    (project / "README.md").write_text("edited later")
    at_age(project / "README.md", -3600)
    (project / "old.txt").write_text("put back from an older copy")
    at_age(project / "old.txt", 3600)
    (project / ".git" / "HEAD").write_text("excluded, so it counts nowhere")
    return project


def actions(plan: Document) -> dict[str, tuple[str, bool]]:
    return {entry["path"]: (entry["action"], entry["newer_work"]) for entry in plan["entries"]}


def test_plan_counts_what_a_full_restore_would_do(changed: Path, vault: Path) -> None:
    plan = restore(vault)
    assert plan["scenario"] == "plan"
    assert plan["changed"] is False
    assert actions(plan) == {
        "README.md": ("replace", True),
        "new.txt": ("remove", True),
        "src/main.py": ("create", False),
        "old.txt": ("replace", False),
    }
    assert plan["counts"] == {"create": 1, "replace": 2, "remove": 1, "same": 6, "newer": 2}
    assert set(plan["commands"]) == {"files", "critical", "full"}
    json.dumps(plan)


def test_newer_work_is_listed_first(changed: Path, vault: Path) -> None:
    listed = [entry["newer_work"] for entry in restore(vault)["entries"]]
    assert listed == sorted(listed, reverse=True)


@pytest.mark.parametrize(
    "request_",
    [{}, {"scenario": "full", "check": True}, {"scenario": "critical", "check": True},
     {"scenario": "files", "files": (".",), "check": True}],
)  # fmt: skip
def test_asking_changes_nothing(request_: dict[str, Any], changed: Path, vault: Path) -> None:
    before, vault_before = facts(changed), facts(vault)
    plan = restore(vault, **request_)
    assert differences(before, facts(changed)) == []
    assert differences(vault_before, facts(vault)) == []
    assert plan["changed"] is ("check" in request_)


def test_plan_of_files_counts_the_same_way(changed: Path, vault: Path) -> None:
    plan = restore(vault, scenario="files", files=("src", "README.md", "old.txt-2"), check=True)
    assert plan["counts"] == {"create": 1, "replace": 1, "remove": 0, "same": 2, "newer": 1}
    assert actions(plan) == {"README.md": ("replace", True), "src/main.py": ("create", False)}


def test_plan_of_critical_files(changed: Path, vault: Path) -> None:
    plan = restore(vault, scenario="critical", check=True)
    assert plan["counts"] == {"create": 0, "replace": 1, "remove": 0, "same": 1, "newer": 1}


def test_diff_has_a_line_for_each_path(changed: Path, vault: Path) -> None:
    diff = restore(vault)["diff"]
    assert diff["before"].splitlines() == ["README.md (file)", "new.txt (file)", "old.txt (file)"]
    assert [line.split(" ")[0] for line in diff["after"].splitlines()] == ["README.md", "old.txt", "src/main.py"]


@pytest.mark.parametrize(
    "change",
    ["chmod 600 README.md", "chown 1234:5678 README.md", "ln -sfn elsewhere link", "rm link; echo x > link",
     "echo x >> README.md", "touch -d @1 README.md", "rm b; cp -p a b", "rmdir empty; echo x > empty"],
)  # fmt: skip
def test_every_difference_counts_in_the_plan(change: str, project: Path, vault: Path) -> None:
    (project / "link").symlink_to("README.md")
    (project / "a").write_text("linked")
    os.link(project / "a", project / "b")
    backup(project, vault)
    assert sum(restore(vault)["counts"][action] for action in ("create", "replace", "remove")) == 0
    subprocess.run(["sh", "-c", change], cwd=project, check=True)
    plan = restore(vault)
    assert plan["counts"]["replace"] == 1, plan["entries"]


def test_plan_of_a_project_that_is_gone(project: Path, vault: Path) -> None:
    made = backup(project, vault)
    tool("rm", "-rf", project)
    counts = restore(vault)["counts"]
    assert counts == {"create": len(made.entries), "replace": 0, "remove": 0, "same": 0, "newer": 0}


def test_plan_for_another_place(project: Path, vault: Path, tmp_path: Path) -> None:
    made = backup(project, vault)
    plan = restore(vault, made.id, project=tmp_path / "else where")
    assert plan["project"] == str(tmp_path / "else where")
    assert f"'{tmp_path}/else where'" in plan["commands"]["full"][-2]
    assert not (tmp_path / "else where").exists()


def test_long_plans_are_cut_and_their_counts_are_not(project: Path, vault: Path) -> None:
    for number in range(1500):
        (project / "src" / f"f{number:04d}").touch()
    backup(project, vault)
    tool("rm", "-rf", project / "src")
    (project / "newer").write_text("x")
    at_age(project / "newer", -60)
    plan = restore(vault)
    assert plan["counts"]["create"] == 1502
    assert len(plan["entries"]) == 1000
    assert plan["entries"][0]["path"] == "newer", "lost work is shown whatever else there is"


def test_names_in_plans_are_printable(tmp_path: Path, vault: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / os.fsdecode(b"\xff\x1b[31m\n")).write_text("x")
    made = backup(project, vault)
    plan = restore(vault, made.id, project=tmp_path / "out")
    assert plan["entries"][1]["path"] == "\\xff\\x1b[31m\\x0a"
    json.dumps(plan).encode("ascii")


def test_side_files_of_a_database_are_not_newer_work(project: Path, vault: Path) -> None:
    tool("sqlite3", project / "shop.db", "PRAGMA journal_mode=wal; CREATE TABLE t(x);")
    backup(project, vault)
    (project / "shop.db-wal").write_bytes(b"")
    (project / "shop.db-shm").write_bytes(b"\0" * 32768)
    assert restore(vault)["counts"]["remove"] == 0


# --- names that are not there


@pytest.mark.parametrize(
    ("given", "suggested"),
    [
        ("main.py", "src/main.py"),
        ("readme.md", "README.md"),
        ("src/mian.py", "src/main.py"),
        ("src/README.md", "README.md"),
    ],
)
def test_unknown_name_gets_a_suggestion(given: str, suggested: str, project: Path, vault: Path) -> None:
    backup(project, vault)
    with pytest.raises(NotFoundError, match=rf"Did you mean .*{suggested}"):
        restore(vault, scenario="files", files=("README.md", given))


def test_unknown_name_like_nothing_says_how_names_are_given(project: Path, vault: Path) -> None:
    backup(project, vault)
    with pytest.raises(NotFoundError, match="relative to the project"):
        restore(vault, scenario="files", files=("zzzzzzzzzzzz",))


@pytest.mark.parametrize("path", ["/etc/passwd", "..", "../x", "src/../../x", "", "a\0b", "//x"])
def test_names_that_lead_out_are_refused(path: str, project: Path, vault: Path) -> None:
    backup(project, vault)
    before = facts(project.parent)
    with pytest.raises(CoraError):
        restore(vault, scenario="files", files=(path,))
    del before[b"vault"]
    assert not [line for line in differences(before, facts(project.parent)) if "vault" not in line]
