# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora undo): of the project one stands in, told beforehand, and asked where a whole tree changes places.

The engine does the work, without the playbook around it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils.restore_record import CHANGING, SWAP, new_record
from ansible_collections.cora.backup.plugins.module_utils.undo import undo_last
from ansible_collections.cora.backup.plugins.module_utils.vault import Vault
from cora_cli.main import main
from support.engine import backup, restore
from support.tools import tool

Cora = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cora(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, vault: Path) -> Cora:
    """Runs the command: exit code, stdout, stderr."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # main() sets its own

    def playbook(_context: object, _name: str, _action: str, variables: Mapping[str, Any]) -> Any:
        return undo_last(variables["cora_vault"], project=variables["cora_project"])

    monkeypatch.setattr("cora_cli.verbs.undo.run_playbook", playbook)

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([*words, "--vault", str(vault)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another project."""
    place = tmp_path / "other"
    (place / ".git").mkdir(parents=True)
    (place / "README.md").write_text("the other one\n")
    return place


def test_files_come_back_unasked_and_it_is_told_which(
    cora: Cora, project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backup(project, vault)
    (project / "README.md").write_text("newer\n")
    restored = restore(vault, scenario="files", files=("README.md",))
    monkeypatch.chdir(project)
    code, _, err = cora("undo")
    assert code == 0
    assert f"Taking back {restored['restore_id']}, the restore (files of {made.id}) of {project}, " in err
    assert (project / "README.md").read_text() == "newer\n"
    assert "the undo of" in cora("undo")[2]


def test_a_whole_tree_is_asked_for(cora: Cora, project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backup(project, vault)
    (project / "README.md").write_text("newer\n")
    restored = restore(vault, scenario="full")
    monkeypatch.chdir(project)
    code, _, err = cora("undo")
    assert code == 2
    assert "--yes" in err
    assert f"replaced by the one before it, {restored['saved_at']}.\nThe tree that is there now is kept" in err
    monkeypatch.setattr("cora_cli.verbs.undo.confirm", lambda question, *, yes: yes)
    assert cora("undo")[0] == 1
    assert (project / "README.md").read_text() != "newer\n"
    code, _, err = cora("undo", "--yes")
    assert code == 0
    assert (project / "README.md").read_text() == "newer\n"
    assert f"Your shell stands in the old tree now: cd {project}" in err
    assert cora("undo", "--yes")[0] == 0, "also from the old tree, in which the shell still stands"
    assert (project / "README.md").read_text() != "newer\n"


def test_where_there_was_no_tree_before_it_is_moved_away_only_when_asked(
    cora: Cora, project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(project, vault)
    tool("rm", "-rf", project)
    restore(vault, scenario="full")
    restore(vault, scenario="critical")  # changes nothing
    monkeypatch.chdir(project)
    code, _, err = cora("undo")
    assert (code, project.exists()) == (2, True)
    assert "There was no tree before it, so the whole tree is moved away." in err
    assert cora("undo", "--yes", "--json")[0] == 0
    assert not project.exists()


def test_a_restore_of_another_project_is_left_alone(
    cora: Cora, project: Path, other: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(project, vault)
    (project / "README.md").write_text("newer\n")
    restore(vault, scenario="files", files=("README.md",))
    for _ in range(2):
        monkeypatch.chdir(other)
        code, _, err = cora("undo")
        assert code == 1
        assert f"no restore of {other} in" in err
        backup(other, vault)  # a project that the vault knows is no other case
    monkeypatch.chdir("/")
    assert cora("undo")[0] == 0, "on a bare machine the only one is meant"


def test_of_several_projects_one_has_to_be_named(
    cora: Cora, project: Path, vault: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was restored to another place is one of its own."""
    made, copy = backup(project, vault), tmp_path / "copy"
    (project / "README.md").write_text("newer\n")
    restore(vault, scenario="files", files=("README.md",))
    copied = restore(vault, id_text=made.id, scenario="full", project=str(copy))
    monkeypatch.chdir("/")
    code, _, err = cora("undo")
    assert code == 1
    assert f"restores of several projects ({copy}, {project}): say which with --project." in err
    monkeypatch.chdir(copy)
    assert json.loads(cora("undo", "--yes", "--json")[1])["undone_id"] == copied["restore_id"]
    assert not copy.exists()
    monkeypatch.chdir("/")
    assert cora("undo", "--project", str(project))[0] == 0
    assert (project / "README.md").read_text() == "newer\n"


def test_a_killed_restore_is_the_one_that_is_told(project: Path, vault: Path) -> None:
    """An undo puts it right, and takes back none that was before it."""
    made = backup(project, vault)
    (project / "README.md").write_text("newer\n")
    restore(vault, scenario="files", files=("README.md",))
    killed = new_record(Vault(str(vault)), kind=SWAP, backup_id=made.id, project=str(project), scenario="full")
    assert undo_last(str(vault), check=True)["undone_id"] != killed.restore_id, "it has changed nothing yet"
    killed.write(CHANGING)
    asked = undo_last(str(vault), check=True)
    assert (asked["undone_id"], asked["kind"], asked["old_tree"]) == (killed.restore_id, SWAP, None)
