# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The short output, as ansible-playbook prints it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cora_cli import ROOT

#: Some minutes together: left out by test.sh --fast.
pytestmark = pytest.mark.slow


def run(playbook: str, *words: str, callback: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", ROOT / "playbooks" / playbook, *words],
        cwd=directory,
        env={
            **os.environ,
            "ANSIBLE_STDOUT_CALLBACK": callback,
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "PWD": str(directory),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_only_what_a_person_wants_to_know(project: Path, vault: Path) -> None:
    (project / ".git").mkdir()
    done = run("backup.yml", "-e", f"cora_vault={vault}", callback="cora.backup.summary", directory=project)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].endswith(f"of {project} is complete.")
    assert not [line for line in lines if "TASK" in line or "PLAY" in line]
    assert sum("is complete" in line for line in lines) == 1


def test_a_failure_is_a_line(project: Path) -> None:
    (project / ".git").mkdir()
    done = run("backup.yml", "-e", f"cora_vault={project}", callback="cora.backup.summary", directory=project)
    assert done.returncode == 2
    assert "lies inside the vault" in done.stdout + done.stderr


def test_playbooks_say_the_same_without_it_and_in_check_mode(project: Path, vault: Path) -> None:
    (project / ".git").mkdir()
    done = run("backup.yml", "-e", f"cora_vault={vault}", "--check", callback="default", directory=project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{project} would be backed up to {vault}." in done.stdout
    assert not vault.exists()


def test_a_table_of_many_hosts_is_no_line_of_one(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.yml"
    local = '{ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}"}'
    hosts.write_text(f"all: {{hosts: {{one: , two: }}, vars: {local}}}\n")
    options = ("--inventory", str(hosts), "-e", f"cora_vault={tmp_path}/none")
    done = run("status.yml", *options, callback="cora.backup.summary", directory=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    *_, head, one, two, _empty, verdict = done.stdout.splitlines()
    assert head.startswith("HOST  STATE ")
    assert one.startswith("one   CRITICAL")
    assert two.startswith("two   CRITICAL")
    assert verdict == "2 of 2 hosts need somebody."
