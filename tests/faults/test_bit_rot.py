# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One flipped bit anywhere in a backup is found, is named, and is never restored."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError, IntegrityError
from ansible_collections.cora.backup.plugins.module_utils.restore import run_restore
from ansible_collections.cora.backup.plugins.module_utils.settings import RestoreRequest
from ansible_collections.cora.backup.plugins.module_utils.verify import verify_backup
from faults.lab import difference, engine, make_project, tool, tree
from support.tools import flip

#: Some minutes together: left out by test.sh --fast.
pytestmark = pytest.mark.slow

FLIPS = 20
SUMS, INDEX, ARCHIVE, REPORT = "SHA256SUMS.txt", "INDEX.jsonl.gz", "cora-full.tar.gz", "REPORT.json"


class Copy:
    """A backup without its seal, in a vault of its own, whose bits can be flipped."""

    def __init__(self, place: Path) -> None:
        self.project = make_project(place / "project")
        for number in range(3):
            (self.project / f"large{number}.bin").write_bytes(os.urandom(1_500_000))
        self.backup_id = engine("backup", project=str(self.project), vault=str(place / "vault")).result()["id"]
        self.vault = place / "copied"
        self.vault.mkdir()
        tool("cp", "-r", place / "vault" / self.backup_id, self.vault)
        self.path = self.vault / self.backup_id

    def artifacts(self) -> list[str]:
        return sorted(str(path.relative_to(self.path)) for path in self.path.rglob("*") if path.is_file())

    def verify(self, *, quick: bool = False) -> dict[str, Any]:
        return verify_backup(str(self.vault), self.backup_id, quick=quick)

    def restore(self, scenario: str, *files: str) -> dict[str, Any]:
        return run_restore(
            RestoreRequest(
                vault=str(self.vault),
                id_text=self.backup_id,
                project=str(self.project),
                scenario=scenario,
                files=files,
            )
        )


@pytest.fixture
def copy(place: Path) -> Copy:
    return Copy(place)


def flip_any(path: Path, dice: random.Random) -> tuple[int, int]:
    """Flip one bit; returns where, and its mask, to flip it back."""
    at, mask = dice.randrange(path.stat().st_size), 1 << dice.randrange(8)
    flip(path, at, mask)
    return at, mask


def test_every_artifact(copy: Copy) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    assert copy.verify()["ok"]
    problems = []
    for name in copy.artifacts():
        path = copy.path / name
        for number in range(FLIPS if path.stat().st_size else 0):
            at, mask = flip_any(path, dice)
            where = f"seed {seed}: {name}, byte {at}, mask {mask:#04x}"
            # db/x and critical/x are one inode on disk; in this copy they are two
            problems += [f"{where}: {problem}" for problem in _judge(copy, name, full=number < 5)]
            flip(path, at, mask)
    assert not problems, "\n".join(problems)
    assert copy.verify()["ok"], "the flips were not all taken back"


def _judge(copy: Copy, name: str, *, full: bool) -> list[str]:
    problems = []
    for quick in (True, False) if full else (True,):
        found = copy.verify(quick=quick)
        named = {entry["artifact"] for entry in found["damaged"]}
        if found["ok"] or not named:
            problems.append(f"not found (quick: {quick})")
        # a digest that is not right any more may as well be the file's that it belongs to
        elif name != SUMS and name not in named:
            problems.append(f"found, but named {named} (quick: {quick})")
    for scenario in ("critical", "full") if full else ("full",):
        try:
            copy.restore(scenario)
            problems.append(f"{scenario} was restored")
        except IntegrityError:
            pass
    return problems


def test_intact_files_by_name(copy: Copy) -> None:
    """The archive is damaged in one place: what stands elsewhere in it comes back by name, and nothing else does."""
    dice = random.Random(20)
    everything = [f"large{number}.bin" for number in range(3)] + ["src/deep/er/notes.txt"]
    before = tree(copy.project)
    for _ in range(12):
        at, mask = flip_any(copy.path / ARCHIVE, dice)
        damaged = {entry["path"] for entry in copy.verify()["damaged"] if entry["path"]}
        for path in everything:
            (copy.project / path).write_text("spoiled\n")
            if path in damaged:
                with pytest.raises(IntegrityError):
                    copy.restore("files", path)
                assert (copy.project / path).read_text() == "spoiled\n"
            else:
                copy.restore("files", path)
                assert difference(before, tree(copy.project)) == [] or damaged
        flip(copy.path / ARCHIVE, at, mask)
        for path in everything:
            copy.restore("files", path)
        assert difference(before, tree(copy.project)) == []


@pytest.mark.parametrize("name", [REPORT, "MANIFEST.txt", "LARGE_FILES.txt", "critical/README.md", "db/data.db", SUMS])
def test_files_by_name_beside_other_damage(copy: Copy, name: str) -> None:
    """Whatever else is damaged, a file of an intact archive comes back by name, to the project that is named."""
    dice = random.Random(21)
    path = copy.path / name
    for _ in range(FLIPS):
        before = tree(copy.project)
        (copy.project / "src" / "deep" / "er" / "notes.txt").write_text("spoiled\n")
        at, mask = flip_any(path, dice)
        try:
            copy.restore("files", "src/deep/er/notes.txt")
            assert difference(before, tree(copy.project)) == []
        except IntegrityError as error:
            # SHA256SUMS.txt vouches for the index; without it, nothing does
            assert name == SUMS, (at, mask, str(error))
        flip(path, at, mask)
        copy.restore("files", "src/deep/er/notes.txt")


def test_a_damaged_report_leads_nowhere_else(copy: Copy, place: Path) -> None:
    """The report says where the project is: with a flipped letter it would be another directory."""
    (place / "projekt").mkdir()
    report = copy.path / REPORT
    report.write_bytes(report.read_bytes().replace(b'/project"', b'/projekt"'))
    for scenario, files in (("full", ()), ("critical", ()), ("files", ("src/deep/er/notes.txt",))):
        request = RestoreRequest(vault=str(copy.vault), id_text=copy.backup_id, scenario=scenario, files=files)
        with pytest.raises(CoraError):
            run_restore(request)
    assert list((place / "projekt").iterdir()) == []
