# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results in a person's words."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils import summary

ROW: dict[str, Any] = {
    "id": "20261124-033000-4f6dfed",
    "created_at": "2026-11-24T03:30:00Z",
    "kind": "full",
    "project": "/srv/app",
    "files": 12345,
    "size_bytes": 1_234_567,
    "archive_bytes": 99,
    "sealed": True,
    "verified_at": None,
    "verified_ok": None,
}
BACKUP: dict[str, Any] = {
    **ROW,
    "path": "/vault/x",
    "incomplete": False,
    "duration_seconds": 1.23,
    "warnings": [],
    "vault": "/vault",
}


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (1_234_567_890, "1.2 GB"),
        (5 * 10**15, "5000 TB"),
        (None, "?"),
    ],
)
def test_sizes(size: int | None, text: str) -> None:
    assert summary.size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (61, "1 min 1 s"), (7325, "2 h 2 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert summary.duration_text(seconds) == text


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2026-11-24T03:29:30Z", "just now"),
        ("2026-11-24T04:00:00Z", "just now"),
        ("2026-11-24T03:25:00Z", "5 min ago"),
        ("2026-11-24T01:30:00Z", "2 h ago"),
        ("2026-11-23T03:30:00Z", "1 day ago"),
        ("2026-11-04T03:30:00Z", "20 days ago"),
    ],
)
def test_ages(moment: str, text: str) -> None:
    assert summary.age_text(moment, datetime(2026, 11, 24, 3, 30, tzinfo=timezone.utc)) == text


def test_the_table_shows_the_project_only_where_there_are_several() -> None:
    lines = summary.list_table([ROW], "/vault")
    assert len(lines) == 2
    assert "PROJECT" not in lines[0]
    assert "PROJECT" in summary.list_table([ROW, {**ROW, "project": "/srv/b"}], "/vault")[0]
    assert summary.list_table([], "/vault") == ["There is no backup in /vault."]


def test_the_table_survives_a_backup_whose_report_is_gone() -> None:
    broken = {**ROW, "project": None, "files": None, "size_bytes": None, "archive_bytes": None, "problem": "gone"}
    assert "DAMAGED" in summary.list_table([broken], "/vault")[1]


def test_names_cannot_write_to_the_terminal() -> None:
    lines = summary.backup_summary(
        {**BACKUP, "project": "/srv/\x1b[31mred\n", "warnings": ["\x1b]0;x\x07"]}, check=False
    )
    assert not any(character in "".join(lines) for character in "\x1b\x07\n")


def test_of_very_many_warnings_only_the_first_are_shown() -> None:
    lines = summary.warning_lines([f"file {number}" for number in range(1000)])
    assert len(lines) == 21
    assert "980 more" in lines[-1]


def test_an_incomplete_backup_says_so() -> None:
    assert "incomplete" in summary.backup_summary({**BACKUP, "incomplete": True}, check=False)[0]


def test_a_plan_names_what_it_would_change() -> None:
    entries = [{"action": "replace", "path": f"file {number}", "newer_work": number == 0} for number in range(30)]
    plan = {
        "id": ROW["id"],
        "project": "/srv/app",
        "scenario": "critical",
        "counts": {"replace": 30, "same": 5},
        "entries": entries,
    }
    lines = summary.restore_summary(plan, check=True)
    assert lines[1] == "  files    30 replaced, 5 left as they are"
    assert lines[2] == "    replace  file 0 (changed since the backup)"
    assert "10 more" in lines[22]
    assert lines[-1] == "Nothing was changed."


def test_newer_work_is_named() -> None:
    plan = {"counts": {"newer": 1}, "entries": [{"path": "a", "newer_work": True}, {"path": "b", "newer_work": False}]}
    assert summary.newer_work_lines(plan) == ["  newer    1 file changed since the backup:", "             a"]
