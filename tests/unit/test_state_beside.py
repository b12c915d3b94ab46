# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changed is the same, whether lines of the index are compared as text or all of them are parsed."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils import changes, source_files
from ansible_collections.cora.backup.plugins.module_utils.changes import ChangeFinder, Changes
from ansible_collections.cora.backup.plugins.module_utils.patterns import PathFilter
from ansible_collections.cora.backup.plugins.module_utils.saved_state import open_state
from ansible_collections.cora.backup.plugins.module_utils.scan import Found, ScanNotes, walk
from ansible_collections.cora.backup.plugins.module_utils.settings import DEFAULT_EXCLUDE, BackupSettings
from ansible_collections.cora.backup.plugins.module_utils.vault import Vault
from support.checkpoints import saved
from support.engine import backup
from support.trees import make_random_project


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """All files rest at once: their times are not what this is about."""
    monkeypatch.setattr(source_files, "_SETTLED_NS", 0)


def with_a_database(top: Path) -> None:
    with sqlite3.connect(top / "data.db") as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    (top / "WORK_LOG.md").write_text("log\n")
    (top / "zz").mkdir()
    (top / "zz" / "WORK_LOG.md").write_text("log\n")


def change(top: Path, dice: random.Random) -> None:
    """One change of a kind by chance, or of none where it does not fit."""
    files = sorted(path for path in top.rglob("*") if not path.is_symlink() and path.is_file())
    files = [path for path in files if len(os.fsencode(path.name)) < 200 and path.name != "data.db"]
    directories = sorted(path for path in top.rglob("*") if not path.is_symlink() and path.is_dir())
    kind = dice.randrange(9)
    file = dice.choice(files)
    if kind == 0:
        file.write_bytes(dice.randbytes(dice.randrange(3000)))
    elif kind == 1 and len(files) > 8:
        file.unlink()
    elif kind == 2:
        dice.choice([top, *directories]).joinpath(f"new{dice.randrange(10**6)}").write_bytes(b"new")
    elif kind == 3 and len(directories) > 3 and (gone := dice.choice(directories)).name != "zz":
        shutil.rmtree(gone)
    elif kind == 4:
        os.chmod(file, 0o640)
    elif kind == 5:
        os.rename(file, f"{file}.{dice.randrange(10**6)}")
    elif kind == 6:
        os.link(file, f"{file}.{dice.randrange(10**6)}")
    elif kind == 7:
        with sqlite3.connect(top / "data.db") as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS u (x)")
            connection.execute("INSERT INTO u VALUES (1)")
        connection.close()
    else:
        content = file.read_bytes()
        file.unlink()
        file.write_bytes(content)


def find(settings: BackupSettings, state_id: str) -> Changes:
    return ChangeFinder(settings, open_state(Vault(settings.vault), state_id).source).run()


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=[pytest.mark.slow] * (seed > 4)) for seed in range(1, 25)])
def test_the_same_is_found(seed: int, tmp_path: Path, vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(seed)
    top = tmp_path / "tree"
    make_random_project(top, seed)
    with_a_database(top)
    settings = BackupSettings(project=str(top), vault=str(vault))
    state_id = backup(top, vault).id
    passed: list[bool] = []
    is_line_of = changes.is_line_of

    def noted(line: str, found: Found) -> bool:
        passed.append(is_line_of(line, found))
        return passed[-1]

    for _round in range(4):
        for _change in range(dice.choice((0, 1, 2, 12))):
            change(top, dice)
        with monkeypatch.context() as patched:
            patched.setattr(changes, "is_line_of", noted)
            quickly = find(settings, state_id)
            patched.setattr(changes, "is_line_of", lambda _line, _found: False)
            assert quickly == find(settings, state_id)
        state_id = saved(top, vault)["id"]
    assert any(passed), "no line was compared as text"


@pytest.mark.parametrize("seed", range(20))
def test_a_walk_that_asks_only_for_directories(seed: int, tmp_path: Path) -> None:
    """Patterns that all end in a slash mean no file but in a directory that they mean."""
    make_random_project(tmp_path / "tree", seed)
    dice = random.Random(seed)
    names = sorted({path.name for path in (tmp_path / "tree").rglob("*")})
    paths = [str(path.relative_to(tmp_path / "tree")) for path in (tmp_path / "tree").rglob("*")]
    usable = [text for text in (*names, *paths) if text.isascii() and text.isprintable() and text.strip() == text]
    usable = [text for text in usable if not set(text) & set("!#\\[]*?")]
    for patterns in (
        DEFAULT_EXCLUDE,
        tuple(f"{text}/" for text in dice.sample(usable, min(5, len(usable)))),
        ("*a*/",),
    ):
        quick, full = PathFilter(patterns), PathFilter(patterns)
        assert quick.only_directories
        full.only_directories = False
        found = [[one.path for one in walk(str(tmp_path / "tree"), exclude, ScanNotes())] for exclude in (quick, full)]
        assert found[0] == found[1]


@pytest.mark.parametrize("pattern", ["*.pyc", "!keep/", "# note", ""])
def test_a_walk_that_has_to_ask_for_files(pattern: str) -> None:
    assert not PathFilter(("cache/", pattern)).only_directories
