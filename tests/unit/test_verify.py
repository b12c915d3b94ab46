# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check says of a damaged backup, and whether what it promises is true."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError
from ansible_collections.cora.backup.plugins.module_utils.verify import verify_backup
from support.engine import Document, Made, backup, restore
from support.tools import TAR_EXTRACT, run, tool
from support.trees import MIB, fill


@pytest.fixture
def made(project: Path, vault: Path) -> Made:
    return unsealed_backup(project, vault)


def unsealed_backup(project: Path, vault: Path) -> Made:
    """Of frames that several files share, frames of one file, and a database."""
    fill(bytes(project / "large.bin"), 9 * MIB)
    for number in range(40):
        fill(bytes(project / f"small-{number:02d}"), 100_000)
    tool("sqlite3", project / "shop.db", "CREATE TABLE t(x); INSERT INTO t VALUES (1);")
    made = backup(project, vault)
    tool("chattr", "-R", "-i", made.path)
    return made


@pytest.fixture(scope="module")
def original(scratch: Path) -> Made:
    """Made once, for tests that break a copy and restore nothing."""
    project = scratch / "verified"
    project.mkdir()
    (project / "README.md").write_text("# readme\n")
    return unsealed_backup(project, scratch / "verified-vault")


@pytest.fixture
def copy(original: Made, tmp_path: Path) -> Made:
    tool("cp", "-a", original.path.parent, tmp_path / "vault")
    return Made({**original.result, "path": str(tmp_path / "vault" / original.path.name)})


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def check(made: Made, *, quick: bool = False) -> Document:
    return verify_backup(str(made.path.parent), made.id, quick=quick)


def test_intact_backup(project: Path, vault: Path) -> None:
    tool("sqlite3", project / "shop.db", "CREATE TABLE t(x)")
    made = backup(project, vault)
    result = verify_backup(str(vault), "latest")
    assert (result["ok"], result["damaged"], result["sealed"], result["warnings"]) == (True, [], True, [])
    assert result["entries_checked"] == len(made.entries)
    assert result["databases_checked"] == 1
    assert result["restorable"] == "Everything can be restored."


def test_quick_check_reads_the_files_only(made: Made) -> None:
    result = check(made, quick=True)
    assert (result["ok"], result["entries_checked"], result["databases_checked"]) == (True, 0, 0)
    assert (
        result["bytes_checked"]
        == sum(path.stat().st_size for path in made.path.rglob("*") if path.is_file())
        - (made.path / "SHA256SUMS.txt").stat().st_size
    )


def test_check_says_that_flags_are_missing(made: Made) -> None:
    result = check(made)
    assert (result["ok"], result["sealed"]) == (True, False)
    assert "not immutable" in result["warnings"][0]


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize(
    ("break_it", "artifact"),
    [
        (lambda path: flip(path / "REPORT.json", 5), "REPORT.json"),
        (lambda path: flip(path / "SHA256SUMS.txt", 5), "SHA256SUMS.txt"),
        (lambda path: flip(path / "critical/README.md", 1), "critical/README.md"),
        (lambda path: flip(path / "db/shop.db", 5000), "db/shop.db"),
        (lambda path: (path / "MANIFEST.txt").unlink(), "MANIFEST.txt"),
        (lambda path: (path / "added.txt").write_text("x"), "added.txt"),
        (lambda path: (path / "critical/link").symlink_to("README.md"), "critical/link"),
        (lambda path: (path / "cora-full.tar.gz").write_bytes(b""), "cora-full.tar.gz"),
        (lambda path: shutil.rmtree(path / "critical"), "critical/README.md"),
    ],
)
def test_damage_is_named(break_it: Callable[[Path], object], artifact: str, quick: bool, copy: Made) -> None:
    break_it(copy.path)
    result = check(copy, quick=quick)
    assert result["ok"] is False
    assert artifact in {row["artifact"] for row in result["damaged"]}


def test_link_to_the_same_bytes_is_damage(made: Made, tmp_path: Path) -> None:
    """Whoever can replace the target can replace the backup."""
    shutil.copy(made.path / "MANIFEST.txt", tmp_path / "elsewhere")
    (made.path / "MANIFEST.txt").unlink()
    (made.path / "MANIFEST.txt").symlink_to(tmp_path / "elsewhere")
    assert check(made, quick=True)["damaged"][0]["problem"] == "replaced by a link"


@pytest.mark.slow
def test_only_the_files_of_a_damaged_frame_are_lost(made: Made, project: Path) -> None:
    victim = made.entries["small-20"]["frame"]
    lost = {path for path, entry in made.entries.items() if entry["frame"] == victim and path != "."}
    frame = next(line for line in made.index if line.get("frame") == victim and "offset" in line)
    flip(made.archive, frame["offset"] + frame["length"] // 2)
    result = check(made)
    assert {row["path"] for row in result["damaged"] if row["path"]} - {"."} == lost
    assert 1 < len(lost) < 20
    assert f"but {len({row['path'] for row in result['damaged'] if row['path']})}" in result["restorable"]
    assert "by name" in result["restorable"]
    for path in sorted(made.entries.keys() - lost - {".", "src"}):
        if made.entries[path]["type"] != "file":
            continue
        (project / path).unlink()
        restore(made.path.parent, made.id, scenario="files", files=(path,))
        assert (project / path).stat().st_size == made.entries[path]["size"]
    with pytest.raises(CoraError, match="damaged"):
        (project / "small-20").unlink()
        restore(made.path.parent, made.id, scenario="files", files=("small-20",))
    assert not (project / "small-20").exists()


def test_damage_in_a_large_file_loses_that_file_only(made: Made) -> None:
    frame = next(line for line in made.index if line.get("frame") == made.entries["large.bin"]["frame"] + 1)
    flip(made.archive, frame["offset"] + 1000)
    result = check(made)
    assert {row["path"] for row in result["damaged"] if row["path"]} == {"large.bin"}


@pytest.mark.parametrize("scenario", ["critical", "full"])
def test_nothing_else_is_restored_of_a_damaged_backup(scenario: str, made: Made, project: Path) -> None:
    flip(made.archive, 1000)
    (project / "README.md").write_text("newer")
    with pytest.raises(CoraError, match="damaged"):
        restore(made.path.parent, made.id, scenario=scenario)
    assert (project / "README.md").read_text() == "newer"
    assert [path.name for path in project.parent.iterdir() if path.name.startswith(("project.", ".project"))] == []


@pytest.mark.parametrize(
    "artifact", ["SHA256SUMS.txt", "REPORT.json", "INDEX.jsonl.gz", "MANIFEST.txt", "critical/README.md"]
)
def test_what_can_still_be_restored_is_told_and_true(artifact: str, made: Made, project: Path, tmp_path: Path) -> None:
    path = made.path / artifact
    flip(path, path.stat().st_size // 2)
    promise = check(made)["restorable"]
    assert "by name" in promise or "tar -xzf" in promise
    if "by name" in promise:
        (project / "README.md").unlink()
        restore(made.path.parent, made.id, scenario="files", files=("README.md",))
        assert (project / "README.md").read_text() == "# readme\n"
    if "tar -xzf" in promise:
        (tmp_path / "out").mkdir()
        tool(*TAR_EXTRACT, made.archive, "-C", tmp_path / "out")
        assert run(("diff", "-r", "-x", "shop.db", project, tmp_path / "out")).returncode == 0


def test_archive_with_something_behind_its_end_is_damaged(made: Made) -> None:
    with open(made.archive, "ab") as stream:
        stream.write(tool("gzip", "-c", input_bytes=b"more"))
    assert {row["artifact"] for row in check(made)["damaged"]} >= {"cora-full.tar.gz", "INDEX.jsonl.gz"}
