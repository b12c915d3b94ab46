# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A damaged archive is met before a whole tree takes the project's place, wherever the damage is."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils.archive_writer import IN_MEMORY_BYTES
from ansible_collections.cora.backup.plugins.module_utils.checkpoint import save
from ansible_collections.cora.backup.plugins.module_utils.errors import IntegrityError
from ansible_collections.cora.backup.plugins.module_utils.processes import WORTH_PROCESSES_BYTES
from ansible_collections.cora.backup.plugins.module_utils.settings import BackupSettings
from support.compare import differences, facts
from support.engine import Made, backup, restore
from support.tools import assert_no_child_is_left, flip, tool

#: In one process, and in several.
SIZES_BYTES = (1_000_000, WORTH_PROCESSES_BYTES + IN_MEMORY_BYTES)


@pytest.fixture(params=SIZES_BYTES, ids=["small", "large"])
def made(request: pytest.FixtureRequest, project: Path, vault: Path) -> Made:
    dice = random.Random(3)
    # the first has frames of its own, and where it is large it is streamed
    (project / "data.bin").write_bytes(dice.randbytes(request.param))
    for number in range(20):
        (project / f"{number}.bin").write_bytes(dice.randbytes(90_000))
    return backup(project, vault)


def damage(archive: Path, at: int) -> None:
    tool("chattr", "-i", archive)
    flip(archive, at)


@pytest.fixture(autouse=True)
def nobody_is_left() -> Iterator[None]:
    yield
    assert_no_child_is_left()


def assert_refused(vault: Path, project: Path, state_id: str, where: Path) -> None:
    before, beside = facts(project), set(project.parent.iterdir())
    with pytest.raises(IntegrityError) as failure:
        restore(vault, state_id, scenario="full")
    assert str(failure.value).startswith(f"{where.parent} is damaged ({where.name}), so nothing was restored.")
    assert type(failure.value) is IntegrityError
    assert differences(before, facts(project)) == []
    assert set(project.parent.iterdir()) == beside


@pytest.mark.parametrize("place", [0, 1, 2, -2, -1])
def test_of_each_frame(made: Made, project: Path, vault: Path, place: int) -> None:
    (project / "README.md").unlink()
    frame = made.frames[place]
    damage(made.archive, frame["offset"] + frame["length"] // 2)
    assert_refused(vault, project, made.id, made.archive)


def test_where_nothing_differs_from_the_project(made: Made, project: Path, vault: Path) -> None:
    damage(made.archive, made.archive.stat().st_size - 1)
    assert_refused(vault, project, made.id, made.archive)


def test_of_the_sum_of_the_archive(made: Made, project: Path, vault: Path) -> None:
    (project / "README.md").unlink()
    sums = made.path / "SHA256SUMS.txt"
    tool("chattr", "-i", sums)
    digest = tool("sha256sum", made.archive).decode().split()[0]
    sums.write_text(sums.read_text().replace(digest, digest[::-1]))
    assert_refused(vault, project, made.id, made.archive)


@pytest.mark.parametrize("change", [-1, 1])
def test_another_length(made: Made, project: Path, vault: Path, change: int) -> None:
    (project / "README.md").unlink()
    tool("chattr", "-i", made.archive)
    tool("truncate", f"--size={change:+}", made.archive)
    assert_refused(vault, project, made.id, made.archive)


def test_of_what_a_checkpoint_takes_the_place_of(made: Made, project: Path, vault: Path) -> None:
    (project / "data.bin").write_bytes(b"newer")
    saved = save(BackupSettings(project=str(project), vault=str(vault)))
    own = made.entries["data.bin"]["frame"]
    (frame,) = (one for one in made.frames if one["frame"] == own)
    damage(made.archive, frame["offset"] + 1000)
    (project / "README.md").unlink()
    assert_refused(vault, project, saved["id"], made.archive)
