# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Protection: what is written to a critical file stays, whoever comes along; and it can be taken off."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils.protect import protect
from ansible_collections.cora.backup.plugins.module_utils.settings import BackupSettings
from support.engine import Document, backup, restore
from support.modules import run_module
from support.tools import need_root, run, tool


@pytest.fixture
def guarded(project: Path) -> Iterator[Path]:
    """A repository whose protection goes away at the end."""
    need_root()
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", project)
    tool("git", "-c", "init.defaultBranch=main", "init", "-q", project)
    tool(*git, "add", "-A")
    tool(*git, "commit", "-qm", "one")
    yield project
    run(["chattr", "-R", "-f", "-a", "-i", project])


def protected(project: Path, vault: Path, **options: Any) -> Document:
    return protect(BackupSettings(project=str(project), vault=str(vault)), **options)


ATTACKS = {
    "rm": "rm -f AI_WORK_LOG.md",
    "mv": "mv AI_WORK_LOG.md elsewhere",
    "truncate": ": > AI_WORK_LOG.md",
    "sed -i": "sed -i s/done/gone/ AI_WORK_LOG.md",
    "dd": "dd if=/dev/zero of=AI_WORK_LOG.md conv=notrunc bs=1 count=3",
    "mv over it": "echo new > x && mv -f x AI_WORK_LOG.md",
    "chmod": "chmod 0 AI_WORK_LOG.md",
    "git checkout": "git checkout -f other -- AI_WORK_LOG.md",
    "git clean": "git rm -q --cached AI_WORK_LOG.md && git clean -fdxq",
    "python": "python3 -c \"open('AI_WORK_LOG.md', 'r+').write('x')\"",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_nobody_takes_away_what_is_written(guarded: Path, vault: Path, attack: str) -> None:
    log = guarded / "AI_WORK_LOG.md"
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", guarded)
    tool(*git, "checkout", "-qb", "other")
    log.write_text("another version\n")
    tool(*git, "commit", "-qam", "two")
    tool(*git, "checkout", "-q", "main")
    before = log.read_bytes()
    assert set(protected(guarded, vault)["protected"]) == {"AI_WORK_LOG.md", "README.md"}
    assert run(["sh", "-c", ATTACKS[attack]], cwd=guarded).returncode != 0
    assert log.read_bytes() == before


def test_it_can_be_added_to_and_taken_off(guarded: Path, vault: Path) -> None:
    log = guarded / "AI_WORK_LOG.md"
    assert protected(guarded, vault)["changed"] is True
    assert protected(guarded, vault)["changed"] is False
    tool("sh", "-c", f"echo more >> '{log}'")
    assert log.read_text() == "done so far\nmore\n"
    check = protected(guarded, vault, check=True)
    assert (check["changed"], check["ok"], check["unprotected"]) == (False, True, [])
    off = protected(guarded, vault, on=False)
    assert (off["changed"], off["ok"]) == (True, True)
    log.write_text("edited\n")
    check = protected(guarded, vault, check=True)
    assert (check["changed"], check["ok"]) == (True, False)
    assert set(check["unprotected"]) == {"AI_WORK_LOG.md", "README.md"}
    assert b"a" not in tool("lsattr", log).split()[0]


def test_databases_links_and_other_files_are_left_alone(guarded: Path, vault: Path) -> None:
    with closing(sqlite3.connect(guarded / "WORK_LOG.db")) as database:
        database.execute("CREATE TABLE t (n)")
        database.commit()
    (guarded / "link.md").symlink_to("/etc/hostname")
    protected(guarded, vault)
    assert b"a" not in tool("lsattr", guarded / "WORK_LOG.db").split()[0]
    assert b"a" not in tool("lsattr", guarded / "src/main.py").split()[0]
    assert b"a" not in tool("lsattr", "/etc/hostname").split()[0]


def test_what_is_gone_is_named(guarded: Path, vault: Path) -> None:
    backup(guarded, vault)
    (guarded / "README.md").unlink()
    for options in ({"check": True}, {}):
        result = protected(guarded, vault, **options)
        assert (result["missing"], result["ok"]) == (["README.md"], False)


def test_a_restore_replaces_what_is_protected_and_protects_it_again(guarded: Path, vault: Path) -> None:
    backup(guarded, vault)
    protected(guarded, vault)
    with (guarded / "AI_WORK_LOG.md").open("a") as stream:
        stream.write("more\n")
    restore(vault, scenario="files", files=("AI_WORK_LOG.md",))
    assert (guarded / "AI_WORK_LOG.md").read_text() == "done so far\n"
    assert b"a" in tool("lsattr", guarded / "AI_WORK_LOG.md").split()[0]


def test_who_may_not_set_flags_is_told(guarded: Path, vault: Path) -> None:
    tool("chown", "-R", "nobody", guarded)
    for path in (guarded, *guarded.parents):
        if str(path).startswith("/tmp/pytest"):
            path.chmod(0o755)
    os.seteuid(65534)
    try:
        result = protected(guarded, vault)
    finally:
        os.seteuid(0)
    assert not result["ok"]
    assert any("README.md" in problem for problem in result["problems"])


def test_the_module(guarded: Path, vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options: dict[str, Any] = {"project": guarded, "vault": vault}
    for state in ("present", "absent"):
        expected = []
        for check in (True, False, True, False):
            result = run_module(capsys, "protect", check=check, state=state, **options)
            assert "failed" not in result, result
            expected.append(result["changed"])
        assert expected == [True, True, False, False]
