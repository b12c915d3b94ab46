# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases that are in use, runs that meet, files that change while they are read."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from faults.driver import ENGINE_ERROR
from faults.lab import DRIVER, check_backup, difference, engine, listed, tool, tree

HOLDER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM notes").fetchone()
print("busy", flush=True)
time.sleep(120)
"""

# Rewrites a file in place without a pause; the other one appends to what is no log, makes and removes files.
REWRITER = """
import os, sys
block = os.urandom(1 << 20)
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
for number in range(12):
    os.pwrite(fd, block, number << 20)
print("busy", flush=True)
while True:
    for number in range(12):
        os.pwrite(fd, block, number << 20)
"""
RESTLESS = """
import itertools, os, sys
top = sys.argv[1]
text = open(top + "/grows.txt", "ab", buffering=0)
print("busy", flush=True)
while True:
    text.write(b"more\\n")
    for name in range(200):
        open(f"{top}/coming/{name}", "w").close()
    for name in range(200):
        os.unlink(f"{top}/coming/{name}")
"""

LOGGER = """
import sys
log = open(sys.argv[1], "ab", buffering=0)
while True:
    log.write(b"one more line\\n" * 100)
    if log.tell() > 100000:
        print("busy", flush=True)
        break
import time
while True:
    log.write(b"one more line\\n")
    time.sleep(0.0005)
"""


@contextmanager
def running(script: str, *arguments: str) -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"busy\n"
        yield process.pid
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def request_(project: Path, vault: Path) -> dict[str, Any]:
    backup = engine("backup", project=str(project), vault=str(vault)).result()
    return {"vault": str(vault), "project": str(project), "id_text": backup["id"]}


def test_a_database_in_use(project: Path, vault: Path, request_: dict[str, Any]) -> None:
    """Who holds it is named, and nothing is changed: by a restore of everything, of one file, and by undo."""
    (project / "same.txt").write_text("newer\n")
    tool("sqlite3", project / "data.db", "INSERT INTO notes (text) VALUES ('newer')")
    with running(HOLDER, str(project / "data.db")) as pid:
        before = tree(project)
        for scenario, files in (("full", []), ("critical", []), ("files", ["data.db"])):
            message = engine("restore", scenario=scenario, files=files, **request_).error("TargetBusyError")
            assert f"process {pid}" in message
            assert "data.db" in message
            assert difference(before, tree(project)) == []
        engine("restore", scenario="files", files=["same.txt"], **request_).result()
    engine("restore", scenario="full", **request_).result()
    restored = tree(project)
    with running(HOLDER, str(project / "data.db")) as pid:
        message = engine("undo", vault=str(vault), project=str(project)).error("TargetBusyError")
        assert f"process {pid}" in message
        assert difference(restored, tree(project)) == []
    engine("undo", vault=str(vault), project=str(project)).result()
    assert "newer" in tool("sqlite3", project / "data.db", "SELECT text FROM notes")


def test_two_runs_at_once(project: Path, vault: Path, request_: dict[str, Any]) -> None:
    """The second says who holds the vault, or waits for it."""
    (project / "same.txt").write_text("newer\n")
    with running(
        "import sys, subprocess; process = subprocess.Popen(sys.argv[1:]); print('busy', flush=True); process.wait()",
        *slow_restore(request_),
    ):
        time.sleep(1.5)
        backup: dict[str, Any] = {"project": str(project), "vault": str(vault)}
        message = engine("backup", **backup).error("LockedError")
        assert "process" in message
        assert "UTC" in message
        assert engine("undo", vault=str(vault)).returncode == ENGINE_ERROR
        assert engine("backup", lock_wait_seconds=60.0, **backup).result()["id"] in listed(vault)


def slow_restore(request: dict[str, Any]) -> list[str]:
    slow = {**request, "call": "restore", "scenario": "files", "files": ["same.txt"], "health_command": ["sleep", "4"]}
    return [sys.executable, str(DRIVER), json.dumps(slow)]


@pytest.mark.slow
def test_many_at_once(project: Path, vault: Path) -> None:
    """Five backups at the same moment, all of which may wait: five ids, each of them whole."""
    with ThreadPoolExecutor(max_workers=5) as pool:
        runs = [
            pool.submit(engine, "backup", project=str(project), vault=str(vault), lock_wait_seconds=60.0)
            for _ in range(5)
        ]
        ids = sorted(run.result().result()["id"] for run in runs)
    assert len(set(ids)) == 5
    assert listed(vault) == ids
    for backup_id in ids:
        check_backup(vault / backup_id)


@pytest.mark.slow
def test_files_that_never_stand_still(project: Path, vault: Path) -> None:
    """The backup is made, is whole in itself, and says what may be torn."""
    (project / "coming").mkdir()
    torn = 0
    with running(REWRITER, str(project / "big.bin")), running(RESTLESS, str(project)):
        for _ in range(5):
            result = engine("backup", project=str(project), vault=str(vault)).result()
            check_backup(vault / result["id"])
            named = any("big.bin" in warning for warning in result["warnings"])
            # on a busy machine the writer may get no turn while the file is read: then it did stand still
            assert bool(result["warnings"]) == result["incomplete"]
            torn += named
            assert engine("verify", vault=str(vault), id_text=result["id"]).result()["ok"]
    assert torn, "no write met a backup"
    (project / "big.bin").unlink()
    result = engine("backup", project=str(project), vault=str(vault)).result()
    assert not result["incomplete"]
    assert result["warnings"] == []


def test_a_log_that_only_grows(project: Path, vault: Path) -> None:
    with running(LOGGER, str(project / "logs" / "app.log")):
        for cap in (50 << 20, 4096):
            result = engine("backup", project=str(project), vault=str(vault), log_cap_bytes=cap).result()
            check_backup(vault / result["id"])
            assert not result["incomplete"]
            assert result["warnings"] == [] or cap == 4096, result["warnings"]
