# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed command: settings of the host, runs nobody watches, completion."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils.version import VERSION
from cora_cli import ROOT
from cora_cli.completion import bash_completion
from cora_cli.errors import UsageError
from cora_cli.inventory import Inventory
from cora_cli.parser import build_parser
from cora_cli.registry import all_verbs
from cora_cli.run_directory import make_run_directory
from cora_cli.unattended import logged
from support.tools import remove_sealed

LAUNCH = "import sys; sys.path[0] = sys.argv.pop(1); from cora_cli.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "etc/settings.yml"
    path.parent.mkdir()
    path.write_text("cora_project: /srv/app\ncora_vault: /srv/vault\ncora_critical: [a, b]\nother: x\n")
    return path


def test_settings_of_the_host_win_over_the_inventory(tmp_path: Path, settings: Path) -> None:
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/all.yml").write_text("cora_vault: /elsewhere\ncora_seal: best_effort\n")
    inventory = Inventory(tmp_path, settings)
    assert inventory.text("cora_vault", "--vault") == "/srv/vault"
    assert inventory.text("cora_seal", "-e") == "best_effort"
    assert inventory.installed == {"cora_project": "/srv/app", "cora_vault": "/srv/vault", "cora_critical": ["a", "b"]}


def test_backup_env_wins_and_its_secrets_are_not_read(tmp_path: Path, settings: Path) -> None:
    (settings.parent / "backup.env").write_text(
        "# CORA_PROJECT=/no\nexport CORA_VAULT='/mnt/my vault'\nCORA_SEAL=\nCORA_SECRET_KEY=hunter2\nPATH=/no\n"
    )
    installed = Inventory(tmp_path, settings).installed
    assert installed["cora_vault"] == "/mnt/my vault"
    assert installed["cora_project"] == "/srv/app"
    assert set(installed) == {"cora_project", "cora_vault", "cora_critical"}


def test_settings_that_are_gone_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        Inventory(tmp_path, tmp_path / "settings.yml")


@pytest.mark.slow
def test_an_installed_collection_runs_its_playbooks(tmp_path: Path, project: Path, settings: Path, vault: Path) -> None:
    collection = tmp_path / "ansible_collections/cora/backup"
    for name in ("plugins", "playbooks", "tools", "meta"):
        shutil.copytree(ROOT / name, collection / name, ignore=shutil.ignore_patterns("collections", "__pycache__"))
    settings.write_text(f"cora_project: {project}\ncora_vault: {vault}\n")
    runs = tmp_path / "runs"
    environment = {**os.environ, "CORA_SETTINGS": str(settings), "CORA_RUNS": str(runs)}
    environment |= {"CORA_LOG": str(tmp_path / "log"), "CORA_WHEN_BUSY": "skip"}

    def cora(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", LAUNCH, str(collection / "tools"), *words]
        return subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False)

    done = cora("backup", "now", "-e", "cora_lock_wait_seconds=1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(vault.glob("2*"))) == 1
    assert list(runs.iterdir()) == []
    log = (tmp_path / "log").read_text()
    assert "cora backup now[" in log
    assert "cora_lock_wait_seconds" not in log, "options may be anybody's business"

    with (vault / ".cora/lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        skipped = cora("backup", "now")
        environment["CORA_WHEN_BUSY"] = "fail"
        failed = cora("backup", "now")
    assert skipped.returncode == 0
    assert "no failure: Another run holds the vault" in skipped.stderr
    assert failed.returncode == 1
    remove_sealed(vault)


def test_runs_that_were_killed_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORA_RUNS", str(tmp_path / "runs"))
    for _unused in range(15):
        make_run_directory()
    assert len(list((tmp_path / "runs").iterdir())) == 11
    assert (tmp_path / "runs").stat().st_mode & 0o777 == 0o700


def test_the_log_is_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log").symlink_to(tmp_path / "victim")
    monkeypatch.setenv("CORA_LOG", str(tmp_path / "log"))
    with pytest.raises(UsageError, match="log"), logged(["save"]):
        pass
    assert not (tmp_path / "victim").exists()


def test_the_log_gets_whole_lines_without_control_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CORA_LOG", str(tmp_path / "log"))
    with logged(["save", "--vault", "/v"]):
        print("one\ntwo \x1b[31m")
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line.split("]: ")[1] for line in lines] == ["one", "two ?[31m"]
    assert all(f" cora save[{os.getpid()}]" in line for line in lines)
    assert capsys.readouterr().out == "one\ntwo \x1b[31m\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["rest"], {"restore"}),
        (["backup", "n"], {"now"}),
        (["restore", "latest", "--cr"], {"--critical"}),
        (["--json", "restore", "la"], {"latest"}),
        (["nonsense", "restore", "--ful"], {"--full"}),
    ],
)
def test_bash_completes(tmp_path: Path, words: list[str], expected: set[str]) -> None:
    script = tmp_path / "completion"
    script.write_text(bash_completion(build_parser(all_verbs(), VERSION)))
    shell = '. "$1"; shift; COMP_WORDS=(cora "$@"); COMP_CWORD=$#; _cora; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(
        ["bash", "-euc", shell, "bash", script, *words], capture_output=True, text=True, check=True, timeout=20
    )
    assert set(done.stdout.split()) == expected
    assert done.stderr == ""
