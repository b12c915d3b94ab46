# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A critical file that is gone is named, and its last backup kept, however many backups were made without it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils.critical_gone import (
    Gone,
    critical_gone,
    gone_since,
    gone_text,
    missing,
)
from ansible_collections.cora.backup.plugins.module_utils.defaults import default_vault
from ansible_collections.cora.backup.plugins.module_utils.keep_rules import Policy, PruneRequest
from ansible_collections.cora.backup.plugins.module_utils.prune import prune
from ansible_collections.cora.backup.plugins.module_utils.settings import DEFAULT_CRITICAL
from ansible_collections.cora.backup.plugins.module_utils.status import status
from ansible_collections.cora.backup.plugins.module_utils.verify import verify_backup
from support.engine import Made, backup
from support.tools import tool

LOG = "AI_WORK_LOG.md"
NOTHING_KEPT = Policy(keep_last=1, keep_within_days=0)


def named(made: Made) -> str:
    return " ".join(made.report["warnings"])


def problems(vault: Path) -> str:
    return "\n".join(problem["text"] for problem in status(str(vault), with_timers=False)["problems"])


def reasons(vault: Path, state_id: str) -> str:
    decisions: list[dict[str, Any]] = prune(PruneRequest(vault=str(vault), policy=NOTHING_KEPT), check=True)[
        "decisions"
    ]
    return next("; ".join(one["reasons"]) for one in decisions if one["id"] == state_id)


@pytest.mark.parametrize("paranoid", [False, True])
@pytest.mark.parametrize("path", [LOG, "data/app.db"])
def test_it_is_named_by_each_backup_and_by_status(project: Path, vault: Path, paranoid: bool, path: str) -> None:
    (project / "data").mkdir()
    tool("sqlite3", project / "data" / "app.db", "create table t(x); insert into t values (1)")
    first = backup(project, vault, paranoid=paranoid)
    assert "gone" not in named(first)
    (project / path).unlink()
    restore = f"cora restore {first.id} --file {path} --vault {vault}"
    for _number in range(3):
        assert f"{restore}. Removed" in named(backup(project, vault, paranoid=paranoid))
    assert f"are gone from the project: {path}. Bring one back: {restore}. Removed" in problems(vault)


def test_until_it_is_there_again(project: Path, vault: Path) -> None:
    first = backup(project, vault)
    (project / LOG).unlink()
    backup(project, vault)
    tool("cp", first.path / "critical" / LOG, project / LOG)
    assert "gone from" not in problems(vault), "that is looked at now, not when the next backup is made"
    assert "gone from" not in named(backup(project, vault))


@pytest.mark.parametrize("name", [LOG, "a[1]*?.md", "#two words!.md", "!.md"])
def test_until_somebody_says_that_it_was_meant(project: Path, vault: Path, name: str) -> None:
    """By the very words that are printed."""
    (project / name).write_text("critical\n")
    (project / "below").mkdir()
    (project / "below" / "WORK_LOG.md").write_text("critical as well\n")
    first = backup(project, vault)
    (project / name).unlink()
    text = named(backup(project, vault))
    pattern = text.partition("Add '")[2].partition("' to cora_critical")[0]
    command = shlex.split(text.partition("Bring one back: ")[2].partition(". Removed")[0])
    assert command == ["cora", "restore", first.id, "--file", name, "--vault", str(vault)]
    made = backup(project, vault, critical=(*DEFAULT_CRITICAL, pattern))
    assert "gone from" not in named(made)
    assert "below/WORK_LOG.md" in made.report["critical"]
    assert "gone from" not in problems(vault)


def test_what_is_there_and_only_not_critical_any_more_is_not_gone(project: Path, vault: Path) -> None:
    backup(project, vault)
    assert "gone from" not in named(backup(project, vault, critical=("*.none",)))


@pytest.mark.parametrize("between", ["excluded", "not critical", "a directory", "a dangling link"])
def test_one_backup_in_between_makes_nobody_forget(project: Path, vault: Path, between: str) -> None:
    first, log = backup(project, vault), project / LOG
    settings: dict[str, Any] = {}
    if between in ("a directory", "a dangling link"):
        log.unlink()
        log.mkdir() if between == "a directory" else log.symlink_to("nowhere")
    else:
        settings = {"exclude": (LOG,)} if between == "excluded" else {"critical": ("*.none",)}
    backup(project, vault, **settings)
    tool("rm", "-r", log)
    assert f"cora restore {first.id} --file {LOG}" in named(backup(project, vault))
    assert f"gone from the project: {LOG}" in problems(vault)


def test_prune_keeps_the_last_backup_that_holds_it(project: Path, vault: Path) -> None:
    older, last = backup(project, vault), backup(project, vault)
    (project / LOG).unlink()
    newest = [backup(project, vault) for _number in range(3)][-1]
    for made in (last, newest):
        verify_backup(str(vault), made.id)
    assert "the last to hold a critical file that the project has no more" in reasons(vault, last.id)
    removed = prune(PruneRequest(vault=str(vault), policy=NOTHING_KEPT))["removed"]
    assert older.id in removed
    assert last.id not in removed
    assert (last.path / "critical" / LOG).exists()
    backup(project, vault, critical=(*DEFAULT_CRITICAL, f"!/{LOG}"))
    assert "no rule keeps it" in reasons(vault, last.id) or "not verified" in reasons(vault, last.id)


def test_what_no_backup_holds_any_more_is_forgotten(project: Path, vault: Path) -> None:
    first = backup(project, vault)
    (project / LOG).unlink()
    assert "gone from" in named(backup(project, vault))
    tool("chattr", "-R", "-i", first.path)
    tool("chattr", "-a", vault)
    tool("rm", "-r", first.path)
    assert "gone from" not in named(backup(project, vault))


def spoil(made: Made) -> None:
    tool("chattr", "-i", made.archive)
    with made.archive.open("r+b") as stream:
        stream.seek(200)
        stream.write(b"rotten")


def test_a_damaged_backup_is_no_holder(project: Path, vault: Path) -> None:
    intact, damaged = backup(project, vault), backup(project, vault)
    (project / LOG).unlink()
    newest = backup(project, vault)
    spoil(damaged)
    for made in (intact, newest):
        assert verify_backup(str(vault), made.id)["ok"]
    assert "the last to hold a critical file" in reasons(vault, intact.id), "nobody knows of the newer one"
    assert not verify_backup(str(vault), damaged.id)["ok"]
    assert "the last to hold a critical file" in reasons(vault, intact.id)
    assert "the last to hold" not in reasons(vault, damaged.id)


def test_not_every_backup_is_kept_for_the_log_of_its_day(project: Path, vault: Path) -> None:
    for day in range(14):
        log = project / f"WORK_LOG.{day:02}.md"
        log.write_text("this day\n")
        made = backup(project, vault)
        assert verify_backup(str(vault), made.id)["damaged"] == []
        log.unlink()
    last = backup(project, vault)
    assert verify_backup(str(vault), last.id)["ok"]
    assert len(prune(PruneRequest(vault=str(vault), policy=NOTHING_KEPT))["removed"]) == 4


def test_where_commands_look_for_backups_by_themselves_no_vault_is_named() -> None:
    assert "--vault" not in gone_text([Gone(LOG, ["20261124-040253"])], default_vault())


@pytest.mark.parametrize("value", [None, 5, "text", [5, None, "\x00", "/etc/passwd", "../up", "\ud800", {"path": []}]])
def test_a_report_that_somebody_wrote(value: object) -> None:
    forged: dict[str, Any] = {"critical": value, "databases": value, "settings": {"critical": value}, "project": "/srv"}
    empty: dict[str, Any] = {"critical": []}
    for reports in ([("b", forged)], [("c", empty), ("b", forged)], [("c", forged), ("b", forged)]):
        for one in missing(gone_since(reports), "/srv"):
            assert one.path == "never"
    for one in missing(critical_gone([("b", forged)], [], ["*"]), "/srv"):
        gone_text([one], "/srv/vault")
