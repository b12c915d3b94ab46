# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotation: archives and what is left are, byte for byte, what was written, killed or not."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils.rotate import RotateSettings, rotate
from support.modules import run_module
from support.tools import remove_sealed, tool

COLLECTIONS = Path(__file__).resolve().parents[2] / "playbooks/collections"
WRITER = """
import sys, time
with open(sys.argv[1], "ab", buffering=0) as log:
    for number in range(int(sys.argv[2])):
        log.write(b"%09d\\n" % number)
        if not number % 200:
            time.sleep(0.001)
"""
ROTATE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.cora.backup.plugins.module_utils.rotate import RotateSettings, rotate
print(json.dumps(rotate(RotateSettings(project=sys.argv[2], vault=sys.argv[3], rotate_bytes=5000))))
"""


def rotated(project: Path, vault: Path, **settings: Any) -> dict[str, Any]:
    return rotate(RotateSettings(project=str(project), vault=str(vault), **{"rotate_bytes": 5000, **settings}))


def lines(count: int, start: int = 0) -> bytes:
    return b"".join(b"%09d\n" % number for number in range(start, start + count))


def archives(vault: Path, name: str = "app.log") -> list[Path]:
    return sorted((vault / "rotated" / name).glob("*.gz"))


def whole(project: Path, vault: Path, name: str = "app.log") -> bytes:
    """All that was ever written, by gzip and cat."""
    parts = [tool("gzip", "-dc", path) for path in archives(vault, name)]
    return b"".join(parts) + (project / name).read_bytes()


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory on tmpfs, which cannot cut a beginning off."""
    path = Path("/dev/shm") / f"cora-rotate-{os.getpid()}"
    path.mkdir()
    yield path
    remove_sealed(path)


def test_the_beginning_goes_and_nothing_is_lost(project: Path, vault: Path) -> None:
    log = project / "app.log"
    log.write_bytes(lines(3000))
    inode = log.stat().st_ino
    result = rotated(project, vault)
    (row,) = result["rotated"]
    assert (row["path"], row["bytes"]) == ("app.log", 28672)
    assert log.stat().st_ino == inode
    assert log.stat().st_size == 30000 - 28672
    assert whole(project, vault) == lines(3000)
    (archive,) = archives(vault)
    assert gzip.decompress(archive.read_bytes()) == lines(3000)[:28672]
    assert all("i" in tool("lsattr", path).decode().split()[0] for path in archive.parent.iterdir())
    assert json.loads(archive.with_suffix(".json").read_bytes())["sha256"] == row["sha256"]
    assert rotated(project, vault)["changed"] is False


@pytest.mark.slow
def test_again_and_again_with_a_writer(project: Path, vault: Path) -> None:
    log = project / "app.log"
    log.write_bytes(b"")
    count = 200_000
    with subprocess.Popen([sys.executable, "-c", WRITER, str(log), str(count)]) as writer:
        runs = 0
        while writer.poll() is None:
            runs += len(rotated(project, vault)["rotated"])
            time.sleep(0.02)
    assert runs > 3
    rotated(project, vault)
    assert log.stat().st_size < 5000
    assert whole(project, vault) == lines(count)


def test_the_same_lines_again_are_archived_again(project: Path, vault: Path) -> None:
    log = project / "app.log"
    written = b""
    for _ in range(3):
        with log.open("ab") as stream:
            stream.write(b"x" * 8192)
        written += b"x" * 8192
        rotated(project, vault)
    assert whole(project, vault) == written


@pytest.mark.parametrize("when", [1, 2, 3])
def test_killed_before_the_cut(project: Path, vault: Path, when: int) -> None:
    log = project / "app.log"
    log.write_bytes(lines(3000))
    killed = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject=fallocate:signal=KILL:when={when}", "--"]
    program = [sys.executable, "-c", ROTATE, str(COLLECTIONS), str(project), str(vault)]
    done = subprocess.run([*killed, *program], capture_output=True, check=False)
    assert done.returncode in (-9, 137), done.stderr
    assert log.read_bytes() == lines(3000)
    with log.open("ab") as stream:
        stream.write(lines(10, 3000))
    assert rotated(project, vault)["changed"]
    assert whole(project, vault) == lines(3010)
    assert len(archives(vault)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rename", "fsync"])
def test_killed_anywhere(project: Path, vault: Path, name: str, tmp_path: Path) -> None:
    log, trace = project / "app.log", tmp_path / "trace"
    program = [sys.executable, "-c", ROTATE, str(COLLECTIONS), str(project)]
    log.write_bytes(lines(3000))
    subprocess.run(
        ["strace", "-f", "-qq", "-o", trace, "-e", f"trace={name}", "--", *program, str(tmp_path / "count")],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    remove_sealed(tmp_path / "count")
    killing = ("strace", "-f", "-qq", "-o", "/dev/null", "-e")
    calls = len(trace.read_text().splitlines())
    assert calls
    for when in range(1, calls + 1):
        log.write_bytes(lines(3000))
        place = vault / str(when)
        subprocess.run(
            [*killing, f"inject={name}:signal=KILL:when={when}", "--", *program, str(place)],
            check=False,
            capture_output=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        with log.open("ab") as stream:
            stream.write(lines(2000, 3000))
        rotated(project, place)
        assert whole(project, place) == lines(5000), when


def test_a_protected_log_is_protected_again(project: Path, vault: Path) -> None:
    log = project / "app.log"
    log.write_bytes(lines(3000))
    tool("chattr", "+a", log)
    try:
        assert rotated(project, vault)["problems"] == []
        assert b"a" in tool("lsattr", log).split()[0]
        assert whole(project, vault) == lines(3000)
    finally:
        tool("chattr", "-a", log)


@pytest.mark.parametrize("limit", [5000, 1_000_000])
def test_a_protected_log_is_protected_again_after_a_kill(project: Path, vault: Path, limit: int) -> None:
    log = project / "app.log"
    log.write_bytes(lines(3000))
    tool("chattr", "+a", log)
    try:
        killed = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=fallocate:signal=KILL:when=3", "--"]
        program = [sys.executable, "-c", ROTATE, str(COLLECTIONS), str(project), str(vault)]
        done = subprocess.run([*killed, *program], capture_output=True, check=False)
        assert done.returncode in (-9, 137), done.stderr
        assert b"a" not in tool("lsattr", log).split()[0], "the kill came too early or too late to tell anything"
        assert rotated(project, vault, rotate_bytes=limit)["problems"] == []
        assert b"a" in tool("lsattr", log).split()[0]
        assert whole(project, vault) == lines(3000) or limit > 30000
        assert sorted(path.name for path in (vault / ".cora").glob("*.json")) == []
    finally:
        tool("chattr", "-a", log)


def test_where_nothing_can_be_cut_only_what_nobody_has_open(memory: Path) -> None:
    project, vault = memory / "project", memory / "vault"
    project.mkdir()
    log = project / "app.log"
    log.write_bytes(lines(3000))
    with log.open("ab"):
        result = rotated(project, vault)
    assert result["rotated"] == []
    assert "has it open" in result["problems"][0]
    assert log.read_bytes() == lines(3000)
    assert rotated(project, vault)["problems"] == []
    assert log.stat().st_size < 5000
    assert whole(project, vault) == lines(3000)


def test_only_what_is_named_and_large(project: Path, vault: Path) -> None:
    for name, size in (("small.log", 10), ("large.txt", 90000), ("node_modules/x.log", 90000), ("huge.log", 90000)):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_bytes(b"x" * size)
    (project / "link.log").symlink_to("large.txt")
    check = rotate(RotateSettings(project=str(project), vault=str(vault), rotate_bytes=5000), check=True)
    assert [row["path"] for row in check["rotated"]] == ["huge.log"]
    assert not vault.exists()
    assert [row["path"] for row in rotated(project, vault)["rotated"]] == ["huge.log"]
    assert [row["path"] for row in rotated(project, vault, files=("*.txt",))["rotated"]] == ["large.txt"]
    assert (project / "large.txt").stat().st_size < 5000


def test_the_module(project: Path, vault: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "app.log").write_bytes(lines(3000))
    options: dict[str, Any] = {"project": project, "vault": vault, "rotate_bytes": 5000}
    check = run_module(capsys, "rotate", check=True, **options)
    assert check["changed"]
    assert "Nothing was changed." in check["summary"]
    assert run_module(capsys, "rotate", **options)["changed"]
    assert not run_module(capsys, "rotate", check=True, **options)["changed"]
    assert not run_module(capsys, "rotate", **options)["changed"]


def test_two_projects_of_one_vault_have_a_file_of_the_same_name(project: Path, vault: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (project / "app.log").write_bytes(lines(3000))
    (other / "app.log").write_bytes(lines(2000, 5000))
    killed = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=fallocate:signal=KILL:when=3", "--"]
    program = [sys.executable, "-c", ROTATE, str(COLLECTIONS), str(project), str(vault)]
    assert subprocess.run([*killed, *program], capture_output=True, check=False).returncode in (-9, 137)
    assert rotated(other, vault)["changed"]
    assert rotated(project, vault)["changed"]
    mine = [json.loads(path.with_suffix(".json").read_bytes())["project"] == str(project) for path in archives(vault)]
    parts = [tool("gzip", "-dc", path) for path in archives(vault)]
    for place, is_mine, written in ((project, True, lines(3000)), (other, False, lines(2000, 5000))):
        kept = [part for part, of_project in zip(parts, mine, strict=True) if of_project == is_mine]
        assert b"".join(kept) + (place / "app.log").read_bytes() == written
