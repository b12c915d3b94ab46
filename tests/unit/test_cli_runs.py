# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command as a person runs it: real playbooks, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cora_cli import ROOT
from cora_cli.playbook import close_ended_terminals_at_once
from cora_cli.progress import Lines
from cora_cli.progress_words import describe
from ptyprocess import PtyProcess
from support.compare import differences, facts
from support.tools import tool

#: Some minutes together: left out by test.sh --fast.
pytestmark = pytest.mark.slow

LAUNCH = "import sys; sys.path[0] = sys.argv.pop(1); from cora_cli.main import main; sys.exit(main(sys.argv[1:]))"


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-c", LAUNCH, str(ROOT / "tools"), *map(str, words)]


class Person:
    """Types commands in a project.

    :param cache: where runs are kept that failed
    """

    def __init__(self, project: Path, vault: Path, cache: Path) -> None:
        self.project = project
        self.vault = vault
        self.runs = cache / "cora" / "runs"
        self.environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "MY_SECRET_TOKEN": "hunter2"}

    def types(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*words, "--vault", self.vault),
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def asks(self, *words: str | Path) -> Any:
        done = self.types(*words, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def person(project: Path, vault: Path, tmp_path: Path) -> Person:
    (project / ".git").mkdir()
    return Person(project, vault, tmp_path / "cache")


def test_the_whole_way_there_and_back(person: Person) -> None:
    log = person.project / "AI_WORK_LOG.md"
    made = person.asks("backup", "now")
    needed = {"id", "path", "sealed", "files", "size_bytes", "archive_bytes", "duration_seconds", "warnings"}
    assert needed <= made.keys()
    assert made["sealed"]

    log.write_text("overwritten\n")
    done = person.types("restore", "latest", "--file", log.name)
    assert done.returncode == 0, done.stderr
    assert log.read_text() == "done so far\n"
    assert person.asks("undo")["changed"]
    assert log.read_text() == "overwritten\n"

    full = person.asks("restore", "latest", "--full", "--yes")
    assert log.read_text() == "done so far\n"
    assert (Path(full["saved_at"]) / log.name).read_text() == "overwritten\n"
    assert person.types("undo").returncode == 2
    assert person.asks("undo", "--yes")["undone_id"] == full["restore_id"]
    assert log.read_text() == "overwritten\n"
    assert list(person.runs.iterdir()) == [], "a successful run leaves nothing"


@pytest.mark.parametrize("words", [("--full", "--yes"), ("--critical",)], ids=" ".join)
def test_a_damaged_backup_is_refused_before_anything_changes(words: tuple[str, ...], person: Person) -> None:
    """Also where nobody is asked, and so the command itself has not looked."""
    archive = Path(person.asks("backup", "now")["path"]) / "cora-full.tar.gz"
    tool("chattr", "-i", archive)
    archive.write_bytes(archive.read_bytes()[:-1] + b"\xff")
    (person.project / "AI_WORK_LOG.md").write_text("newer\n")
    before, beside = facts(person.project), set(person.project.parent.iterdir())
    done = person.types("restore", "latest", *words)
    assert done.returncode == 1
    assert "is damaged (cora-full.tar.gz), so nothing was restored" in done.stderr
    assert differences(before, facts(person.project)) == []
    assert set(person.project.parent.iterdir()) - beside <= {person.runs.parents[1]}


def test_a_failed_run_is_kept_without_secrets(person: Person) -> None:
    done = person.types("backup", "now", "-e", "cora_hosts=nosuchhost", "-e", "my_password=hunter2")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (kept,) = person.runs.iterdir()
    assert str(kept) in done.stderr
    found = subprocess.run(["grep", "-r", "hunter2", kept], capture_output=True, text=True, check=False)
    assert found.stdout == ""


def test_an_error_of_the_engine_is_a_sentence(person: Person) -> None:
    person.vault = person.project / "vault"
    done = person.types("backup", "now")
    assert done.returncode == 2
    assert done.stderr.splitlines()[1].startswith(f"cora: The vault {person.vault} lies inside the project")


def test_ansible_and_the_short_way_answer_the_same(person: Person) -> None:
    """-v is Ansible, and prints what it says; without it there is none where nothing needs it."""
    quick, long = person.types("backup", "now", "--json"), person.types("backup", "now", "--json", "-v")
    assert "PLAY RECAP" in long.stderr and "PLAY RECAP" not in quick.stderr
    own = ("id", "path", "duration_seconds", "reused", "archive_bytes")
    first, second = (
        {key: one for key, one in json.loads(done.stdout).items() if key not in own} for done in (quick, long)
    )
    assert first == second
    wrong = [person.types("backup", "now", "-e", "cora_seal=maybe", *more) for more in ((), ("-v",))]
    assert [done.returncode for done in wrong] == [2, 2]
    assert wrong[0].stderr.splitlines()[-1] == wrong[1].stderr.splitlines()[-1]


@pytest.mark.parametrize("more", [(), ("-v",)], ids=["short", "ansible"])
def test_ctrl_c_leaves_nothing_behind(more: tuple[str, ...], person: Person) -> None:
    for number in range(40):
        (person.project / f"big-{number}").write_bytes(os.urandom(10_000_000))
    running = subprocess.Popen(
        command("backup", "now", "--vault", person.vault, *more),
        cwd=person.project,
        env=person.environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    staging = person.vault / ".cora/staging"
    deadline = time.monotonic() + 60
    while not (staging.is_dir() and any(staging.glob("*/cora-full.tar.gz"))):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert out == ""
    assert err.endswith("cora: Interrupted.\n")
    assert list(staging.iterdir()) == []
    assert person.asks("list") == []


def test_the_terminal_of_a_run_that_ended_is_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PtyProcess, "delayafterclose", 0.1, raising=False)
    close_ended_terminals_at_once()
    ended, running = PtyProcess.spawn(["sh", "-c", "exit 7"]), PtyProcess.spawn(["sleep", "60"])
    while ended.isalive():
        time.sleep(0.01)
    assert (ended.delayafterclose, running.delayafterclose) == (0.0, 0.1)
    for terminal in (ended, running):
        terminal.close()
    assert ended.exitstatus == 7
    assert running.signalstatus == signal.SIGHUP


def test_a_list_imports_nothing_that_takes_time(person: Person) -> None:
    person.vault.mkdir()
    code = "import sys; sys.path[0] = sys.argv.pop(1); from cora_cli.main import main; main(sys.argv[1:]); "
    code += "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    words = [sys.executable, "-c", code, str(ROOT / "tools"), "list", "--vault", str(person.vault)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert not {"ansible", "ansible_runner", "rich", "yaml", "isal"} & set(done.stdout.splitlines()[-1].split())


def test_progress_lines_are_rare(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    line = {"phase": "archive", "files_done": 12345, "files_total": 20000, "bytes_done": 10**6, "bytes_total": 10**9}
    assert describe(line) == "Archiving: 12,345 of 20,000 files, 1.0 MB of 1.0 GB"
    now = [0.0]
    monkeypatch.setattr("cora_cli.progress.time.monotonic", lambda: now[0])
    lines = Lines()
    for second in range(65):
        now[0] = float(second)
        lines.show(line)
    assert len(capsys.readouterr().err.splitlines()) == 2
