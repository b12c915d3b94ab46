# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fetch that is killed at an fsync, rename or chattr: what is listed is whole, and the next run ends it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils.offsite_settings import OffsiteSettings
from ansible_collections.cora.backup.plugins.module_utils.offsite_upload import upload_backup
from ansible_collections.cora.backup.plugins.module_utils.s3_client import S3
from offsite import away
from offsite.away import as_request, fetch
from support.engine import Made, backup
from support.tools import remove_sealed, tool

#: Some minutes together.
pytestmark = pytest.mark.slow


@pytest.fixture
def there(s3: S3, project: Path, vault: Path) -> Made:
    made = backup(project, vault)
    upload_backup(s3, str(vault), made.id)
    return made


def traced(log: Path, *expressions: str, settings: OffsiteSettings, vault: Path, backup_id: str) -> int:
    """A fetch in a process of its own that strace looks at, or kills."""
    words = [word for expression in expressions for word in ("-e", expression)]
    return subprocess.run(
        ["strace", "-f", "-qq", "-o", log, *words, sys.executable, away.__file__],
        input=json.dumps(as_request(settings, vault, backup_id)).encode(), check=False, timeout=120,
    ).returncode  # fmt: skip


def calls_of(name: str, only: str, settings: OffsiteSettings, place: Path, backup_id: str) -> list[int]:
    """At which of its calls of that name a fetch does what is meant."""
    log = place / f"count-{name}"
    vault = place / f"counted-{name}"
    try:
        assert traced(log, f"trace={name}", settings=settings, vault=vault, backup_id=backup_id) == 0
    finally:
        remove_sealed(vault)
    lines = log.read_text().splitlines()
    main_thread = lines[0].split()[0]  # strace counts for each thread on its own
    calls = [line for line in lines if line.startswith(main_thread) and f" {name}(" in line]
    return [number for number, line in enumerate(calls, start=1) if only in line]


@pytest.mark.parametrize(("name", "only"), [("fsync", ""), ("rename", ""), ("ioctl", "SETFLAGS")])
def test_killed_anywhere(name: str, only: str, settings: OffsiteSettings, there: Made, tmp_path: Path) -> None:
    found = calls_of(name, only, settings, tmp_path, there.id)
    assert len(found) > 1, "there is something to kill at"
    for number in sorted({found[0], found[1], found[len(found) // 2], found[-2], found[-1]}):
        _kill(name, number, settings, there, tmp_path / f"{name}-{number}")


def _kill(name: str, number: int, settings: OffsiteSettings, there: Made, place: Path) -> None:
    place.mkdir()
    vault = place / "vault"
    try:
        inject = f"inject={name}:signal=KILL:when={number}"
        status = traced(place / "log", f"trace={name}", inject, settings=settings, vault=vault, backup_id=there.id)
        assert "killed by SIGKILL" in (place / "log").read_text(), f"{name} {number} was not reached ({status})"
        listed = vault / there.id
        if listed.exists():
            tool("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS.txt", cwd=listed)
        result = fetch(settings, vault, there.id)
        assert result["id"] == there.id
        tool("diff", "-r", there.path, listed)
        if result["changed"]:
            assert re.match(r"\S*i", tool("lsattr", "-d", listed).decode())
        else:
            backup(Path(there.report["project"]), vault)  # the next run that holds the vault seals what was left open
            assert re.match(r"\S*i", tool("lsattr", "-d", listed).decode())
    finally:
        remove_sealed(vault)
