# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The short output, as ansible-playbook prints it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils.verify import verify_backup
from cora_cli import ROOT
from support.engine import backup

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
    assert done.returncode == 2, done.stdout + done.stderr
    *_, head, one, two, _empty, verdict = done.stdout.splitlines()
    assert head.startswith("HOST  STATE ")
    assert one.startswith("one   CRITICAL")
    assert two.startswith("two   CRITICAL")
    assert verdict == "2 of 2 hosts need somebody."
    assert done.stderr.splitlines()[-1] == "Not all is well; the table above says where."


def test_the_exit_code_of_a_table_says_whether_somebody_is_needed(project: Path, vault: Path, tmp_path: Path) -> None:
    """The host that is well comes first, so that the failure is not only its own."""
    verify_backup(str(vault), backup(project, vault).id)
    hosts = tmp_path / "hosts.yml"
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    lost = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    settings = {"cora_project": str(project), "cora_vault": str(vault), "cora_status_free_bytes": 0}
    hosts.write_text(json.dumps({"all": {"hosts": {"a-well": local, "lost": lost}, "vars": settings}}))
    for limit, code, states in (("a-well", 0, {"a-well": "OK"}), ("all", 2, {"lost": "UNREACHABLE", "a-well": "OK"})):
        options = ("--inventory", str(hosts), "--limit", limit)
        done = run("status.yml", *options, callback="cora.backup.summary", directory=tmp_path)
        assert done.returncode == code, done.stdout + done.stderr
        table = done.stdout.partition("HOST ")[2].splitlines()[1:]
        assert {line.split()[0]: line.split()[1] for line in table[: len(states)]} == states
        assert done.stderr.count("Not all is well") == (code > 0)
