# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One file out of a saved state, as C(tar -xO) gives it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils.checkpoint import save
from ansible_collections.cora.backup.plugins.module_utils.errors import IntegrityError, NotFoundError
from ansible_collections.cora.backup.plugins.module_utils.saved_file import read_saved_file
from ansible_collections.cora.backup.plugins.module_utils.settings import BackupSettings
from ansible_collections.cora.backup.plugins.module_utils.vault import Vault
from support.engine import backup
from support.tools import tool

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024


def content(vault: Path, state_id: str, path: str) -> bytes:
    return b"".join(read_saved_file(Vault(str(vault)), state_id, path))


@pytest.fixture
def varied(project: Path) -> Path:
    (project / "nothing").touch()
    (project / "large.bin").write_bytes(os.urandom(9 * MIB))
    (project / "streamed.bin").write_bytes(os.urandom(MIB) * 20)
    with (project / "holes.img").open("wb") as stream:
        stream.write(b"begin")
        stream.seek(30 * MIB)
        stream.write(b"end")
        stream.truncate(31 * MIB)
    (project / "src" / "linked.py").hardlink_to(project / "src" / "main.py")
    (project / 'odd "name"\n').write_text("odd")
    (project / os.fsdecode(b"not-utf8-\xff")).write_text("raw")
    return project


def test_every_file_is_what_tar_gives(varied: Path, vault: Path) -> None:
    made = backup(varied, vault)
    files = [path.relative_to(varied) for path in varied.rglob("*") if path.is_file()]
    assert len(files) > 8
    for path in files:
        assert content(vault, made.id, str(path)) == (varied / path).read_bytes()
    unpacked = tool("tar", "-xzOf", made.path / "cora-full.tar.gz", "holes.img")
    assert content(vault, made.id, "./holes.img") == unpacked


def test_what_is_no_file_and_what_is_not_there(varied: Path, vault: Path) -> None:
    made = backup(varied, vault)
    with pytest.raises(NotFoundError, match="but a dir"):
        content(vault, made.id, "src")
    for path in ("absent", "src/main", "../etc/passwd", "/etc/passwd"):
        with pytest.raises(NotFoundError, match="holds no"):
            content(vault, made.id, path)


def test_a_checkpoint_lies_over_its_backup(varied: Path, vault: Path) -> None:
    made = backup(varied, vault)
    (varied / "README.md").unlink()
    (varied / "AI_WORK_LOG.md").write_text("more was done\n")
    saved = save(BackupSettings(project=str(varied), vault=str(vault)))
    assert saved["kind"] == "checkpoint"
    assert content(vault, saved["id"], "AI_WORK_LOG.md") == b"more was done\n"
    assert content(vault, saved["id"], "large.bin") == (varied / "large.bin").read_bytes()
    assert content(vault, made.id, "README.md") == b"# readme\n"
    with pytest.raises(NotFoundError, match="holds no"):
        content(vault, saved["id"], "README.md")


def test_damage_is_told_before_anything_is_given(varied: Path, vault: Path) -> None:
    made = backup(varied, vault)
    archive = made.path / "cora-full.tar.gz"
    tool("chattr", "-i", archive)
    size = archive.stat().st_size
    with archive.open("r+b") as stream:
        stream.seek(size // 2)  # in one of the large files
        stream.write(bytes(4096))
    given = read_saved_file(Vault(str(vault)), made.id, "large.bin")
    other = read_saved_file(Vault(str(vault)), made.id, "streamed.bin")
    damaged = 0
    for pieces, path in ((given, "large.bin"), (other, "streamed.bin")):
        try:
            assert b"".join(pieces) == (varied / path).read_bytes()
        except IntegrityError:
            damaged += 1
    assert damaged == 1
    index = made.path / "INDEX.jsonl.gz"
    tool("chattr", "-i", index)
    with index.open("r+b") as stream:
        stream.seek(index.stat().st_size - 3)
        stream.write(b"\0")
    with pytest.raises(IntegrityError, match="INDEX"):
        content(vault, made.id, "nothing")


def test_the_command_prints_bytes_and_nothing_else(varied: Path, vault: Path) -> None:
    made = backup(varied, vault)
    launch = "import sys, runpy; sys.path.insert(0, sys.argv.pop(1)); sys.argv[0] = 'cora'; "
    launch += "runpy.run_module('cora_cli', run_name='__main__', alter_sys=True)"
    command: list[str | Path] = [
        sys.executable,
        "-c",
        launch,
        ROOT / "tools",
        "--vault",
        vault,
        "--project",
        varied,
        "cat",
    ]
    done = subprocess.run([*command, "latest", "large.bin"], capture_output=True, check=False, cwd=varied)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == (varied / "large.bin").read_bytes()
    inside = subprocess.run([*command, made.id, "main.py"], capture_output=True, check=False, cwd=varied / "src")
    assert inside.stdout == (varied / "src/main.py").read_bytes()
    absent = subprocess.run([*command, made.id, "absent"], capture_output=True, check=False, cwd=varied)
    assert (absent.returncode, absent.stdout) == (1, b"")
    assert b"holds no absent" in absent.stderr
    document = subprocess.run([*command, made.id, "nothing", "--json"], capture_output=True, check=False, cwd=varied)
    assert document.returncode == 2
