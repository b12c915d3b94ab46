# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command from the words to the exit code; playbooks are replaced by what they would answer."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cora_cli import ROOT
from cora_cli.errors import CommandError
from cora_cli.main import main
from support.engine import backup
from support.tools import tool

Answer = dict[str, Any]

MADE: Answer = {
    "id": "20261124-033000-4f6dfed",
    "path": "/vault/20261124-033000-4f6dfed",
    "project": "/srv/app",
    "vault": "/vault",
    "sealed": True,
    "files": 3,
    "size_bytes": 100,
    "archive_bytes": 50,
    "duration_seconds": 0.1,
    "warnings": [],
    "incomplete": False,
}


class Playbooks:
    """Stands in for ansible-runner.

    :param answers: by name of the playbook
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answer | CommandError] = {}
        self.variables: dict[str, Any] = {}

    def run(self, context: object, name: str, action: str, variables: Mapping[str, Any]) -> Answer:
        self.variables[name] = dict(variables)
        answer = self.answers[name]
        if isinstance(answer, CommandError):
            raise answer
        return answer


@pytest.fixture
def playbooks(monkeypatch: pytest.MonkeyPatch) -> Playbooks:
    stand_in = Playbooks()
    for verb in ("backup_now", "restore", "undo"):
        monkeypatch.setattr(f"cora_cli.verbs.{verb}.run_playbook", stand_in.run)
    return stand_in


@pytest.fixture
def cora(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command, in no project unless the test says where: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # main() sets its own

    def run(*words: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


Cora = Callable[..., tuple[int, str, str]]


def damage(sealed: Path) -> None:
    """Change the first byte of a file."""
    tool("chattr", "-i", sealed)
    sealed.write_bytes(b"\0" + sealed.read_bytes()[1:])


def test_backup_now_says_what_where_and_how_to_restore(cora: Cora, playbooks: Playbooks, project: Path) -> None:
    playbooks.answers["backup"] = MADE
    code, out, err = cora("backup", "now", "--project", project, "--vault", "/vault")
    assert code == 0
    assert err.startswith(f"Backing up {project} to /vault")
    assert "is complete" in out
    assert f"restore {MADE['id']} --vault /vault" in out
    assert playbooks.variables["backup"] == {"cora_project": str(project), "cora_vault": "/vault"}


def test_backup_now_json_is_one_document(cora: Cora, playbooks: Playbooks, project: Path) -> None:
    playbooks.answers["backup"] = MADE
    code, out, err = cora("--json", "backup", "now", "--project", project)
    assert (code, err) == (0, "")
    assert json.loads(out) == MADE


def test_an_incomplete_backup_ends_with_3(cora: Cora, playbooks: Playbooks, project: Path) -> None:
    playbooks.answers["backup"] = {**MADE, "incomplete": True, "warnings": ["a: vanished"]}
    code, out, _ = cora("backup", "now", "--project", project)
    assert code == 3
    assert "a: vanished" in out


@pytest.mark.parametrize(("error", "code"), [("SealError", 1), ("SettingsError", 2)])
def test_a_failed_run_says_why(cora: Cora, playbooks: Playbooks, project: Path, error: str, code: int) -> None:
    playbooks.answers["backup"] = CommandError("It cannot be.", error=error, details={"log": "/x"})
    assert cora("backup", "now", "--project", project)[0::2] == (
        code,
        f"Backing up {project} to /var/backups/cora\ncora: It cannot be.\n",
    )
    failed, out, err = cora("backup", "now", "--project", project, "--json")
    assert (failed, err) == (code, "")
    assert json.loads(out) == {"error": error, "msg": "It cannot be.", "log": "/x"}


def test_in_a_checkout_inside_a_project_that_project_is_meant(
    cora: Cora, playbooks: Playbooks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    inner = tmp_path / "tools" / "cora"
    inner.mkdir(parents=True)
    for place in (tmp_path, inner):
        (place / ".git").mkdir()
    (inner / "galaxy.yml").write_text("namespace: cora\nname: backup\n")
    monkeypatch.setattr("cora_cli.verbs.backup_now.ROOT", inner)
    monkeypatch.chdir(inner)
    playbooks.answers["backup"] = MADE
    said = cora("backup", "now")[2]
    assert f"Backing up {tmp_path} to" in said
    assert f"--project {inner}" in said
    assert "--project" not in cora("backup", "now", "--project", inner)[2]


def test_list_of_an_empty_vault_says_how_to_begin(cora: Cora, tmp_path: Path) -> None:
    code, out, _ = cora("list", "--vault", tmp_path)
    assert code == 0
    assert f"backup now --vault {tmp_path}" in out
    assert cora("list", "--vault", tmp_path, "--json")[1] == "[]\n"


def test_list_is_newest_first_and_can_be_of_one_project(cora: Cora, project: Path, vault: Path) -> None:
    ids = [backup(project, vault).id for _ in range(2)]
    _, out, _ = cora("backup", "list", "--vault", vault, "--json")
    assert [row["id"] for row in json.loads(out)] == ids[::-1]
    assert json.loads(cora("list", "--vault", vault, "--json", "--project", "/srv/app")[1]) == []
    assert [line.split()[0] for line in cora("list", "--vault", vault)[1].splitlines()[1:]] == ids[::-1]


def test_a_list_of_a_project_that_has_none_names_those_that_have(cora: Cora, project: Path, vault: Path) -> None:
    """A slip in the path must not look as if all were lost."""
    backup(project, vault)
    code, out, _ = cora("list", "--vault", vault, "--project", "/srv/app")
    assert (code, out) == (0, f"No backup in {vault} is of /srv/app. There are some of {project}.\n")


def test_verify_of_an_intact_and_a_damaged_backup(cora: Cora, project: Path, vault: Path) -> None:
    made = backup(project, vault, seal="best_effort")
    code, out, _ = cora("verify", "--vault", vault)
    assert code == 0
    assert f"{made.id} is intact" in out

    damage(made.archive)
    code, out, _ = cora("backup", "verify", made.id[:15], "--vault", vault, "--json")
    assert code == 1
    assert json.loads(out)["ok"] is False
    assert "cora-full.tar.gz" in cora("verify", "--vault", vault)[1]


def test_verify_of_nothing(cora: Cora, tmp_path: Path) -> None:
    code, _, err = cora("verify", "--vault", tmp_path)
    assert code == 1
    assert "no backup" in err
    assert json.loads(cora("verify", "--vault", tmp_path, "--json")[1])["error"] == "NotFoundError"


def test_latest_is_of_the_project_one_stands_in(
    cora: Cora, project: Path, vault: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (project / ".git").mkdir()
    mine, theirs = backup(project, vault), backup(other, vault)
    monkeypatch.chdir(project / "src")
    assert json.loads(cora("verify", "--vault", vault, "--json")[1])["id"] == mine.id
    assert json.loads(cora("verify", "--vault", vault, "--json", "--project", other)[1])["id"] == theirs.id
    monkeypatch.chdir("/")
    assert cora("verify", "--vault", vault)[0] == 1


def test_who_stands_in_a_project_without_backups_gets_nothing_of_another(
    cora: Cora, playbooks: Playbooks, project: Path, vault: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, other = backup(project, vault), tmp_path / "other"
    (other / ".git").mkdir(parents=True)
    monkeypatch.chdir(other)
    for words in (("restore", "latest", "--file", "README.md"), ("cat", "latest", "README.md"), ("verify",)):
        code, out, err = cora(*words, "--vault", vault)
        assert (code, out) == (1, "")
        assert f"No backup in {vault} is of {other}; it holds backups of {project}: say which" in err
    assert playbooks.variables == {}
    code, out, _ = cora("status", "--vault", vault)
    assert code == 1
    assert f"CRITICAL: There is no backup of {other} in {vault}." in out
    assert cora("restore", made.id, "--vault", vault)[0] == 0, "who gives an id means it"


def test_a_project_that_lost_its_git_is_the_one_in_which_one_stands(
    cora: Cora, playbooks: Playbooks, project: Path, vault: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    made = backup(project, vault)
    backup(tmp_path / "other", vault)
    monkeypatch.chdir(project / "src")
    assert json.loads(cora("restore", "latest", "--vault", vault, "--json")[1])["id"] == made.id
    assert json.loads(cora("status", "--vault", vault, "--json")[1])["project"] == str(project)
    playbooks.answers["backup"] = MADE
    assert cora("backup", "now", "--vault", vault)[0] == 0
    assert playbooks.variables["backup"]["cora_project"] == str(project)


@pytest.mark.parametrize("is_checkout", [True, False], ids=["a checkout of this collection", "in no project"])
def test_latest_of_a_vault_with_one_project_is_meant_from_anywhere(
    cora: Cora, project: Path, vault: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_checkout: bool
) -> None:
    made = backup(project, vault)
    elsewhere = tmp_path / "elsewhere"  # the checkout that runs this test may stand in somebody's project
    elsewhere.mkdir()
    if is_checkout:
        (elsewhere / ".git").mkdir()
        shutil.copy(ROOT / "galaxy.yml", elsewhere)
    monkeypatch.chdir(elsewhere)
    assert json.loads(cora("verify", "--vault", vault, "--json")[1])["id"] == made.id


def test_restore_without_a_scenario_plans(cora: Cora, playbooks: Playbooks, project: Path, vault: Path) -> None:
    made = backup(project, vault)
    (project / "README.md").write_text("newer\n")
    code, out, _ = cora("restore", made.id, "--vault", vault)
    assert code == 0
    assert "tar " in out
    assert "Nothing was changed." in out
    assert playbooks.variables == {}
    plan = json.loads(cora("restore", made.id, "--vault", vault, "--json")[1])
    assert plan["counts"]["replace"] == 1
    assert plan["changed"] is False


def test_restore_of_a_file_goes_to_where_it_came_from(
    cora: Cora, playbooks: Playbooks, project: Path, vault: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    made = backup(project, vault)
    playbooks.answers["restore"] = {
        "id": made.id,
        "project": str(project),
        "scenario": "files",
        "counts": {"create": 1},
        "entries": [],
        "changed": True,
        "saved_at": "/saved",
        "duration_seconds": 0.1,
    }
    code, out, _ = cora("restore", made.id, "--file", "README.md", "--file", "src/", "--vault", vault)
    assert code == 0
    assert "Take it back with: ./tools/cora.sh undo" in out
    asked = playbooks.variables["restore"]
    assert asked["files"] == ["README.md", "src/"]
    assert (asked["scenario"], asked["cora_target"], asked["id"]) == ("files", str(project), made.id)

    (tmp_path / "copy").mkdir()
    cora("restore", made.id, "--critical", "--vault", vault, "--project", tmp_path / "copy")
    assert playbooks.variables["restore"]["cora_target"] == str(tmp_path / "copy")


def test_restore_of_a_file_as_it_is_seen_from_where_one_stands(
    cora: Cora, playbooks: Playbooks, project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "src" / "lib").mkdir()
    (project / "src" / "lib" / "both.txt").write_text("the lower\n")
    (project / "src" / "both.txt").write_text("the middle\n")
    (project / "both.txt").write_text("the upper\n")
    made = backup(project, vault)
    for gone in ("src/main.py", "src/both.txt"):
        (project / gone).unlink()  # what is to come back is often gone: the backup has to know it
    playbooks.answers["restore"] = {
        "id": made.id, "project": str(project), "scenario": "files", "counts": {}, "entries": [], "changed": False,
        "saved_at": None, "duration_seconds": 0.1,
    }  # fmt: skip
    given = {
        "main.py": "src/main.py",
        "src/main.py": "src/main.py",
        "./main.py": "src/main.py",
        "lib": "src/lib",
        "README.md": "README.md",
        "../README.md": "README.md",
        "../both.txt": "both.txt",
        str(project / "both.txt"): "both.txt",
    }
    monkeypatch.chdir(project / "src")
    words = [word for path in given for word in ("--file", path)]
    assert cora("restore", made.id, *words, "--vault", vault)[0] == 0
    assert playbooks.variables.pop("restore")["files"] == list(given.values())

    code, out, err = cora("restore", made.id, "--file", "both.txt", "--vault", vault)
    assert (code, out, playbooks.variables) == (2, "", {})
    assert f"--file {project}/both.txt or --file {project}/src/both.txt" in err
    code, _, err = cora("restore", made.id, "--file", "absent.py", "--vault", vault)
    assert code == 1
    assert "The backup holds no 'absent.py'." in err
    assert cora("restore", made.id, "--file", "../../etc/passwd", "--vault", vault)[0] == 1
    monkeypatch.chdir(ROOT)
    assert cora("restore", made.id, "--file", "main.py", "--vault", vault)[0] == 1  # nothing is beside
    assert playbooks.variables == {}


def test_a_project_reached_through_a_link_takes_both_its_names(
    cora: Cora, playbooks: Playbooks, project: Path, vault: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "www").symlink_to(tmp_path)
    made = backup(tmp_path / "www" / "project", vault)
    (project / "src/main.py").unlink()
    monkeypatch.chdir(project / "src")
    for path in ("main.py", "src/main.py", project / "src/main.py", tmp_path / "www/project/src/main.py"):
        code, out, _ = cora("restore", made.id, "--file", path, "--check", "--vault", vault)
        assert code == 0
        assert "create   src/main.py" in out


def test_a_file_comes_back_also_where_the_directory_one_stood_in_is_gone(
    cora: Cora, playbooks: Playbooks, project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backup(project, vault)
    monkeypatch.chdir(project / "src")
    tool("rm", "-rf", project / "src")
    code, out, _ = cora("restore", made.id, "--file", "src", "--check", "--vault", vault, "--project", project)
    assert code == 0
    assert "create   src/main.py" in out


def test_a_full_restore_needs_a_word(cora: Cora, playbooks: Playbooks, project: Path, vault: Path) -> None:
    made = backup(project, vault)
    (project / "new.txt").write_text("newer work\n")
    code, _, err = cora("restore", made.id, "--full", "--vault", vault)
    assert code == 2
    assert "--yes" in err
    assert "new.txt" in err
    assert "The tree that is there now is kept beside it." in err
    assert playbooks.variables == {}
    tool("rm", "-rf", project)
    code, _, err = cora("restore", made.id, "--full", "--vault", vault)
    assert code == 2
    assert f"brings back the whole of {project}" in err
    assert "is kept beside it" not in err


def test_a_full_restore_can_be_declined(
    cora: Cora, playbooks: Playbooks, project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(project, vault)
    monkeypatch.setattr("cora_cli.verbs.restore.confirm", lambda question, *, yes: False)
    code, _, err = cora("restore", "latest", "--full", "--vault", vault)
    assert code == 1
    assert "Nothing differs by size and time." in err
    assert "Nothing was changed." in err
    assert playbooks.variables == {}


@pytest.mark.parametrize("words", [("--full", "--yes"), ("--critical",)], ids=" ".join)
def test_what_nobody_is_asked_about_is_verified_by_the_run_alone(
    words: tuple[str, ...], cora: Cora, playbooks: Playbooks, project: Path, vault: Path
) -> None:
    made = backup(project, vault)
    damage(made.archive)  # so that whoever looks would refuse
    playbooks.answers["restore"] = CommandError("It is damaged, so nothing was restored.", error="IntegrityError")
    code, _, err = cora("restore", "latest", *words, "--vault", vault)
    assert code == 1
    assert "It is damaged, so nothing was restored." in err
    asked = playbooks.variables["restore"]
    assert (asked["id"], asked["cora_target"], asked["scenario"]) == (made.id, str(project), words[0].strip("-"))
    assert ("is kept beside it" in err) == ("--full" in words)


@pytest.mark.parametrize(
    "words", [("--full",), ("--full", "--check", "--yes"), ("--critical", "--check")], ids=" ".join
)
def test_damage_is_told_before_a_question_and_in_a_plan(
    words: tuple[str, ...], cora: Cora, playbooks: Playbooks, project: Path, vault: Path
) -> None:
    damage(backup(project, vault).archive)
    code, _, err = cora("restore", "latest", *words, "--vault", vault)
    assert code == 1
    assert "is damaged (cora-full.tar.gz), so nothing was restored" in err
    assert playbooks.variables == {}


def test_restore_check_runs_no_playbook(cora: Cora, playbooks: Playbooks, project: Path, vault: Path) -> None:
    backup(project, vault)
    (project / "README.md").unlink()
    code, out, _ = cora("restore", "latest", "--critical", "--check", "--vault", vault)
    assert code == 0
    assert "1 created" in out
    assert playbooks.variables == {}


@pytest.mark.parametrize("words", [("restore", "latest", "--full", "--critical"), ("frobnicate",), ("backup",), ()])
def test_wrong_usage_ends_with_2(cora: Cora, words: tuple[str, ...]) -> None:
    assert cora(*words)[0] == 2
    code, out, err = cora(*words, "--json")
    assert (code, err) == (2, "")
    assert json.loads(out)["error"] == "UsageError"


def test_ctrl_c_is_tidy(cora: Cora, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cora_cli.verbs.verify.resolve", interrupted)
    code, _, err = cora("verify", "--vault", tmp_path)
    assert (code, err) == (130, "cora: Interrupted.\n")


def test_names_cannot_write_to_the_terminal(cora: Cora, tmp_path: Path) -> None:
    _, out, err = cora("list", "--vault", f"{tmp_path}/\x1b[31m")
    assert "\x1b" not in out + err


def test_version(cora: Cora) -> None:
    assert cora("version")[1].startswith("cora 1.")
    assert set(json.loads(cora("version", "--json")[1])) == {"version"}
