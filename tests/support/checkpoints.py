# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints: made, checked, and restored by our program and by tar alone."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from ansible_collections.cora.backup.plugins.module_utils.checkpoint import save
from ansible_collections.cora.backup.plugins.module_utils.restore import plan_restore
from ansible_collections.cora.backup.plugins.module_utils.settings import BackupSettings, RestoreRequest
from ansible_collections.cora.backup.plugins.module_utils.verify import verify_backup
from jsonschema import Draft202012Validator

from support.compare import differences, facts
from support.engine import Document, restore
from support.tools import run, tool

SCHEMA = Path(__file__).resolve().parents[2] / "docs/report.schema.json"


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
