# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole flow on real input: this repository, a busy database, 20,000 files, a large one, logs; lost, restored."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils.verify import verify_backup
from support.engine import backup, restore
from support.tools import run, tool
from support.trees import MIB, fill

ROOT = Path(__file__).resolve().parents[2]

# Moves an amount between two rows for ever, and writes each move down: only a consistent copy adds up.
WRITER = """
import random, sqlite3, sys
con = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
con.execute("PRAGMA journal_mode=wal")
con.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, amount INTEGER)")
con.execute("CREATE TABLE move (id INTEGER PRIMARY KEY, amount INTEGER, note TEXT)")
con.execute("INSERT INTO account VALUES (1, 0), (2, 0)")
for number in range(10**9):
    amount = random.randrange(1000)
    con.execute("BEGIN IMMEDIATE")
    con.execute("UPDATE account SET amount = amount - ? WHERE id = 1", (amount,))
    con.execute("INSERT INTO move (amount, note) VALUES (?, hex(randomblob(200)))", (amount,))
    con.execute("UPDATE account SET amount = amount + ? WHERE id = 2", (amount,))
    con.execute("COMMIT")
    if number == 500:
        print("busy", flush=True)
"""
BALANCE = (
    "SELECT sum(amount) FROM account; SELECT (SELECT sum(amount) FROM move) = (SELECT amount FROM account WHERE id = 2)"
)


@contextmanager
def busy(database: Path) -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", WRITER, database], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"busy\n"
        yield
        assert writer.poll() is None, "it wrote all the time"
        writer.kill()


def make_project(top: Path) -> None:
    tool("git", "clone", "-q", "--no-hardlinks", ROOT, top / "checkout")
    for number in range(20_000):
        directory = top / "files" / f"{number // 500:02d}"
        if number % 500 == 0:
            directory.mkdir(parents=True)
        (directory / f"{number:05d}.txt").write_bytes(b"%d\n" % number * (number % 50))
    fill(os.fsencode(top / "video.bin"), 300 * MIB)
    (top / "logs").mkdir()
    (top / "logs" / "app.log").write_bytes(b"a line of the log\n" * 100_000)
    tool("setfacl", "-R", "-m", "u:1234:rwX,d:u:1234:rwX", top / "files" / "00")
    tool("setfacl", "-m", "g:77:r", top / "checkout" / "README.md")
    (top / "current").symlink_to("checkout")
    os.link(top / "video.bin", top / "files" / "video-too.bin")


@pytest.mark.slow
def test_back_up_destroy_restore_compare(tmp_path: Path, vault: Path) -> None:
    project = tmp_path / "project"
    make_project(project)
    with busy(project / "shop.db"):
        made = backup(project, vault)
    assert made.result["files"] > 20_000
    assert made.report["databases"] == [{"path": "shop.db", "method": "online", "integrity": "ok"}]
    assert not made.result["incomplete"], made.result["warnings"]
    assert verify_backup(str(vault), "latest")["ok"] is True
    assert run(("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS.txt"), cwd=made.path).returncode == 0

    copy = tmp_path / "copy"
    tool("cp", "-a", project, copy)
    before = tool("getfacl", "-R", "-n", "-P", ".", cwd=project)
    for path in project.iterdir():
        if path.name != "checkout":
            tool("rm", "-rf", path)
    tool("rm", "-rf", project / "checkout" / "plugins", project / "checkout" / "README.md")
    (project / "shop.db").write_bytes(b"overwritten by accident")

    restore(vault, scenario="full")
    found = run(("diff", "-r", "--no-dereference", "-x", "shop.db*", copy, project))
    assert (found.returncode, found.stdout) == (0, b"")
    now = tool("getfacl", "-R", "-n", "-P", ".", cwd=project)
    assert without_side_files(now) == without_side_files(before)
    assert (project / "video.bin").samefile(project / "files" / "video-too.bin")
    assert_database(project, made.path)
    assert tool("git", "status", "--porcelain", cwd=project / "checkout") == b"", "its .git moved over"


def assert_database(project: Path, made: Path) -> None:
    assert not (project / "shop.db-wal").exists()
    assert tool("sqlite3", project / "shop.db", "PRAGMA integrity_check") == b"ok\n"
    assert tool("sqlite3", project / "shop.db", BALANCE) == b"0\n1\n"
    kept = tool("sqlite3", f"file:{made}/db/shop.db?immutable=1", ".dump")
    assert tool("sqlite3", project / "shop.db", ".dump") == kept
    assert kept.count(b"INSERT INTO move") > 500


def without_side_files(listing: bytes) -> list[bytes]:
    """Parts of a getfacl listing; the writer's -wal and -shm come and go."""
    return sorted(part for part in listing.split(b"\n\n") if not part.startswith(b"# file: shop.db-"))
