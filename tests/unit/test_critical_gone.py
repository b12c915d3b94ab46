# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A critical file that is gone is named, and its last backup kept, however many backups were made without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils.keep_rules import Policy, PruneRequest
from ansible_collections.cora.backup.plugins.module_utils.prune import prune
from ansible_collections.cora.backup.plugins.module_utils.settings import DEFAULT_CRITICAL
from ansible_collections.cora.backup.plugins.module_utils.status import status
from ansible_collections.cora.backup.plugins.module_utils.verify import verify_backup
from support.engine import Made, backup
from support.tools import tool

LOG = "AI_WORK_LOG.md"
NOTHING_KEPT = Policy(keep_last=1, keep_within_days=0)


def gone(made: Made) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = made.report.get("critical_gone", [])
    return rows


def problems(vault: Path) -> str:
    return "\n".join(problem["text"] for problem in status(str(vault), with_timers=False)["problems"])


def reasons(vault: Path, state_id: str) -> str:
    decisions: list[dict[str, Any]] = prune(PruneRequest(vault=str(vault), policy=NOTHING_KEPT), check=True)[
        "decisions"
    ]
    return next("; ".join(one["reasons"]) for one in decisions if one["id"] == state_id)


@pytest.mark.parametrize("paranoid", [False, True])
def test_it_is_carried_on_from_backup_to_backup(project: Path, vault: Path, paranoid: bool) -> None:
    first = backup(project, vault, paranoid=paranoid)
    assert gone(first) == []
    (project / LOG).unlink()
    for _number in range(3):
        later = backup(project, vault, paranoid=paranoid)
        assert gone(later) == [{"path": LOG, "backup": first.id}]
        assert f"cora restore {first.id} --file {LOG}" in " ".join(later.report["warnings"])
    text = problems(vault)
    assert f"gone from the project: {LOG}" in text
    assert f"cora restore {first.id} --file {LOG}" in text


def test_until_it_is_there_again(project: Path, vault: Path) -> None:
    first = backup(project, vault)
    content = (project / LOG).read_bytes()
    (project / LOG).unlink()
    backup(project, vault)
    tool("cp", first.path / "critical" / LOG, project / LOG)
    assert (project / LOG).read_bytes() == content
    assert "gone from" not in problems(vault), "that is looked at now, not when the next backup is made"
    assert gone(backup(project, vault)) == []


def test_until_somebody_says_that_it_was_meant(project: Path, vault: Path) -> None:
    backup(project, vault)
    (project / LOG).unlink()
    assert gone(backup(project, vault))
    assert gone(backup(project, vault, critical=(*DEFAULT_CRITICAL, f"!{LOG}"))) == []
    assert "gone from" not in problems(vault)


def test_what_is_there_and_only_not_critical_any_more_is_not_gone(project: Path, vault: Path) -> None:
    backup(project, vault)
    assert gone(backup(project, vault, critical=("*.none",))) == []


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
    backup(project, vault, critical=(*DEFAULT_CRITICAL, f"!{LOG}"))
    assert "no rule keeps it" in reasons(vault, last.id) or "not verified" in reasons(vault, last.id)


def test_what_no_backup_holds_any_more_is_forgotten(project: Path, vault: Path) -> None:
    first = backup(project, vault)
    (project / LOG).unlink()
    assert gone(backup(project, vault))
    tool("chattr", "-R", "-i", first.path)
    tool("chattr", "-a", vault)
    tool("rm", "-r", first.path)
    assert gone(backup(project, vault)) == []
