# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole tree in whose way chattr stands: what is refused, and that no second tree is left then."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils import restore as engine
from ansible_collections.cora.backup.plugins.module_utils.errors import RestoreError
from ansible_collections.cora.backup.plugins.module_utils.settings import Service
from ansible_collections.cora.backup.plugins.module_utils.undo import undo_last
from support.compare import differences, facts
from support.engine import Made, backup, restore
from support.tools import remove_sealed, tool

WORDS = {"i": "immutable", "a": "append-only", "ia": "immutable and append-only"}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A project that stands alone in its directory, with what backups leave out."""
    home = tmp_path / "a home"
    path = home / "project"
    (path / "src").mkdir(parents=True)
    (path / "src" / "main.py").write_text("print('hello')\n")
    (path / "README.md").write_text("# readme\n")
    (path / ".git").mkdir()
    (path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (path / "web" / "node_modules" / "pad").mkdir(parents=True)
    (path / "web" / "node_modules" / "pad" / "index.js").write_text("pad")
    yield path
    remove_sealed(home)


@pytest.fixture
def made(project: Path, vault: Path) -> Made:
    """A backup, and work after it."""
    made = backup(project, vault)
    (project / "README.md").write_text("newer\n")
    return made


def assert_refused(error: RestoreError, place: Path, letters: str) -> None:
    """It names the place and a command; that one is run."""
    assert f"{place} is {WORDS[letters]}, and" in str(error)
    command = str(error).partition("Allow that first: ")[2].partition(". Everything is as it was before")[0]
    assert command == f"chattr -{letters} '{place}'"
    subprocess.run(["sh", "-c", command], check=True)


@pytest.mark.parametrize("letters", WORDS)
@pytest.mark.parametrize("where", ["project", "."])
def test_before_anything_is_unpacked(
    where: str, letters: str, made: Made, project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpack(*_: object) -> None:
        pytest.fail("it was unpacked")

    before, flagged = facts(project), project.parent / where
    tool("chattr", f"+{letters}", flagged)
    with monkeypatch.context() as patch, pytest.raises(RestoreError) as failure:
        patch.setattr(engine, "build_tree", unpack)
        restore(vault, scenario="full")
    assert differences(before, facts(project)) == []
    assert os.listdir(project.parent) == ["project"]
    assert_refused(failure.value, flagged, letters)
    restore(vault, scenario="full")
    assert (project / "README.md").read_text() == "# readme\n"


@pytest.mark.parametrize("letters", ["i", "a"])
def test_a_directory_that_gives_nothing_back_where_no_project_is(
    letters: str, made: Made, project: Path, vault: Path, tmp_path: Path
) -> None:
    home = tmp_path / "another home"
    home.mkdir()
    tool("chattr", f"+{letters}", home)
    try:
        with pytest.raises(RestoreError) as failure:
            restore(vault, made.id, project=home / "project", scenario="full")
        assert os.listdir(home) == []
        assert_refused(failure.value, home, letters)
        restore(vault, made.id, project=home / "project", scenario="full")
    finally:
        remove_sealed(home)


@pytest.mark.parametrize("letters", ["i", "a"])
@pytest.mark.parametrize("where", [".git", "web", "web/node_modules"])
def test_what_has_to_move_over(
    where: str, letters: str, made: Made, project: Path, vault: Path, tmp_path: Path
) -> None:
    before, log = facts(project), tmp_path / "service.log"
    tool("chattr", f"+{letters}", project / where)
    service = Service(kind="command", stop=("true",), start=("sh", "-c", f"echo start >> {log}"))
    with pytest.raises(RestoreError) as failure:
        restore(vault, scenario="full", services=(service,))
    assert failure.value.rolled_back
    assert log.read_text() == "start\n"
    assert differences(before, facts(project)) == []
    assert os.listdir(project.parent) == ["project"]
    assert_refused(failure.value, project / where, letters)
    restore(vault, scenario="full")
    assert (project / "README.md").read_text() == "# readme\n"
    assert (project / "web" / "node_modules" / "pad" / "index.js").exists()


@pytest.mark.parametrize("letters", ["i", "a"])
@pytest.mark.parametrize("where", ["src", "src/main.py", "web/node_modules/pad", ".git/HEAD"])
def test_what_is_flagged_further_down_is_in_nobodys_way(
    where: str, letters: str, made: Made, project: Path, vault: Path
) -> None:
    tool("chattr", f"+{letters}", project / where)
    restore(vault, scenario="full")
    assert (project / "README.md").read_text() == "# readme\n"
    assert (project / ".git" / "HEAD").exists()
    assert not list(project.parent.glob("*.failed-*"))


@pytest.mark.parametrize("where", ["project", ".", "old tree"])
def test_an_undo_is_refused_before_services_stop(where: str, made: Made, project: Path, vault: Path) -> None:
    old = restore(vault, scenario="full")["saved_at"]
    flagged = Path(old) if where == "old tree" else project.parent / where
    tool("chattr", "+i", flagged)
    never: Any = Service(kind="command", stop=("false",), start=("false",))
    before = facts(project)
    with pytest.raises(RestoreError) as failure:
        undo_last(str(vault), services=(never,))
    assert differences(before, facts(project)) == []
    assert_refused(failure.value, flagged, "i")
    undo_last(str(vault))
    assert (project / "README.md").read_text() == "newer\n"


def test_an_undo_of_a_restore_to_where_nothing_was(made: Made, project: Path, vault: Path) -> None:
    tool("rm", "-rf", project)
    restore(vault, scenario="full")
    tool("chattr", "+i", project)
    with pytest.raises(RestoreError) as failure:
        undo_last(str(vault))
    assert_refused(failure.value, project, "i")
    undo_last(str(vault))
    assert not project.exists()


def test_an_undo_into_a_directory_that_takes_nothing(made: Made, project: Path, vault: Path) -> None:
    flagged = Path(restore(vault, scenario="full")["saved_at"]) / "web"
    tool("chattr", "+i", flagged)
    before = facts(project)
    with pytest.raises(RestoreError) as failure:
        undo_last(str(vault))
    assert differences(before, facts(project)) == []
    assert_refused(failure.value, flagged, "i")
    undo_last(str(vault))
    assert (project / "web" / "node_modules" / "pad" / "index.js").exists()
