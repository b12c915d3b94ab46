# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that run from the collection on disk, where the host is the controller: when, and with the same results."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.plugin_utils import from_disk
from cora_cli import ROOT
from support.tools import need_root

MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))


# --- which way a task goes


def action(
    *,
    transport: str = "local",
    interpreter: Any = sys.executable,
    connection_become: Any = None,
    pipelining: bool = False,
    **of_task: Any,
) -> tuple[from_disk.ActionModule, dict[str, Any]]:
    task = {"become": None, "async_val": 0, "delegate_to": None, "args": {"vault": "/vault"}, **of_task}
    plugin = from_disk.ActionModule(
        task=SimpleNamespace(**task),
        connection=SimpleNamespace(
            transport=transport, become=connection_become, is_pipelining_enabled=lambda _wrap_async: pipelining
        ),
        play_context=SimpleNamespace(become=False, pipelining=pipelining),
        loader=None,
        templar=SimpleNamespace(template=lambda value: value),
        shared_loader_obj=None,
    )
    return plugin, {"ansible_python_interpreter": interpreter}


def test_local_and_of_this_python_runs_from_disk() -> None:
    plugin, variables = action()
    assert plugin._is_this_machine_and_python(variables)


@pytest.mark.parametrize(
    "other",
    [
        {"transport": "ssh"},
        {"become": True},
        {"connection_become": object()},
        {"interpreter": "/usr/bin/python3-of-another"},
        {"interpreter": None},
        {"interpreter": "auto_silent"},
        {"async_val": 60},
        {"pipelining": True},
        {"delegate_to": "elsewhere"},
        {"args": {"url": object()}},
    ],
    ids=str,
)
def test_everything_else_is_packed(other: dict[str, Any]) -> None:
    plugin, variables = action(**other)
    assert not plugin._is_this_machine_and_python(variables)


def test_a_link_to_this_python_is_another_one(tmp_path: Path) -> None:
    """That of a virtual environment is such a link, and has other packages."""
    link = tmp_path / "python"
    link.symlink_to(sys.executable)
    plugin, variables = action(interpreter=str(link))
    assert not plugin._is_this_machine_and_python(variables)


# --- what is run


def run_directly(path: Path, arguments: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    given = path.with_suffix(".args")
    given.write_text(json.dumps(arguments))
    return subprocess.run([sys.executable, path, given], cwd=path.parent, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", MODULES)
def test_every_module_can_be_imported_that_way(module: str, tmp_path: Path) -> None:
    """With an option that none has, so that none does anything."""
    done = run_directly(from_disk.write_runner(tmp_path, module), {"no_such_option": True})
    result = json.loads(done.stdout)
    assert result["failed"]
    assert re.match("Unsupported parameters|missing required arguments|one of the following is required", result["msg"])


def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    """A collection with one module; returns what is sent to run that."""
    modules = tmp_path / "collection" / "plugins" / "modules"
    modules.mkdir(parents=True)
    (modules / "made_up.py").write_text(f"import sys\ndef main():\n    {body}\n")
    monkeypatch.setattr(from_disk, "_COLLECTION", tmp_path / "collection")
    return from_disk.write_runner(tmp_path, "made_up")


def test_an_error_that_nobody_foresaw_is_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run_directly(made_up(tmp_path, monkeypatch, "raise ValueError('seven')"), {})
    result = json.loads(done.stdout)
    assert done.returncode == 1
    assert result["failed"]
    assert result["msg"] == "Module failed: seven"
    assert "Traceback" in result["exception"] and "made_up.py" in result["exception"]


def test_an_interrupt_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run_directly(made_up(tmp_path, monkeypatch, "raise KeyboardInterrupt"), {})
    assert done.returncode != 0
    assert not done.stdout
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")


def test_nothing_beside_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fractions.py").write_text("raise SystemExit('imported from the wrong place')")
    done = run_directly(made_up(tmp_path, monkeypatch, "import fractions; print(fractions.__file__)"), {})
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) not in done.stdout


def test_root_leaves_no_bytecode_in_a_collection_of_somebody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_root()
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    path = made_up(tmp_path, monkeypatch, "print('ran')")
    modules = tmp_path / "collection" / "plugins" / "modules"
    os.chown(tmp_path / "collection", 12345, 12345)
    assert run_directly(path, {}).stdout == "ran\n"
    assert not (modules / "__pycache__").exists()
    os.chown(tmp_path / "collection", os.geteuid(), -1)
    assert run_directly(path, {}).stdout == "ran\n"
    assert (modules / "__pycache__").exists()


def test_another_place_of_collections_does_not_hide_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyPI's C(ansible) brings a package C(ansible_collections) of its own."""
    path = made_up(tmp_path, monkeypatch, "print(__name__)")
    (tmp_path / "site" / "ansible_collections" / "cora" / "backup").mkdir(parents=True)
    (tmp_path / "site" / "ansible_collections" / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    done = run_directly(path, {})
    assert done.stdout == "ansible_collections.cora.backup.plugins.modules.made_up\n", done.stderr


# --- through ansible-playbook

#: A change that would be made, an error of the engine, one of the options, a secret, and a warning.
PLAYBOOK = """\
- hosts: localhost
  gather_facts: false
  module_defaults: {{group/cora.backup.all: {{vault: "{top}/vault"}}}}
  tasks:
    - {{cora.backup.snapshot: {{project: "{top}/project"}}, check_mode: true, register: would}}
    - {{cora.backup.snapshot: {{project: "{top}/none"}}, ignore_errors: true, register: refused}}
    - {{cora.backup.snapshot: {{project: /x, wrong: 1}}, ignore_errors: true, register: unknown}}
    - cora.backup.project_history: {{project: "{top}/project", url: "https://me:hunter2@example.org/x.git"}}
      ignore_errors: true
      register: secret
    - {{cora.backup.backup_info: {{}}, register: each, loop: [1, 2]}}
    - ansible.builtin.copy:
        content: "{{{{ [would, refused, unknown, secret, each] | to_nice_json }}}}"
        dest: "{top}/results.json"
        mode: "0600"
      vars: {{ansible_become: false}}
"""
THIS_PYTHON = json.dumps({"ansible_python_interpreter": "{{ ansible_playbook_python }}"})


class Playbook:
    """One that is run in several ways."""

    def __init__(self, top: Path) -> None:
        self.top = top
        (top / "project").mkdir()
        (top / "project" / "file").write_text("content\n")
        (top / "playbook.yml").write_text(PLAYBOOK.format(top=top))

    def run(self, *words: str) -> tuple[Any, list[bytes], str]:
        """Results; what was sent to the host as modules of ours; what was printed."""
        sent = self.top / f"sent-{len(list(self.top.iterdir()))}"
        done = subprocess.run(
            [Path(sys.executable).parent / "ansible-playbook", self.top / "playbook.yml", "-vvv", *words],
            cwd=self.top,
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks/collections"),
                "ANSIBLE_KEEP_REMOTE_FILES": "1",
                "ANSIBLE_REMOTE_TMP": str(sent),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        ours = [path for path in sent.glob("*/AnsiballZ_*.py") if path.stem.partition("_")[2] in MODULES]
        return json.loads((self.top / "results.json").read_text()), [path.read_bytes() for path in ours], done.stdout


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    return Playbook(tmp_path)


def is_packed(sent: bytes) -> bool:
    return b"_ansiballz_main" in sent and b"run_from_disk" not in sent and len(sent) > 100_000


def comparable(results: Any) -> Any:
    """Results without how deep an error lay in Ansible, and what interpreter was looked for."""
    if isinstance(results, dict):
        return {key: comparable(value) for key, value in results.items() if key not in ("exception", "ansible_facts")}
    return [comparable(value) for value in results] if isinstance(results, list) else results


@pytest.mark.slow
def test_both_ways_give_the_same_results(playbook: Playbook, tmp_path: Path) -> None:
    need_root()  # to become root
    other = tmp_path / "python-of-another-name"
    other.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    other.chmod(0o755)

    results, sent, output = playbook.run("-e", THIS_PYTHON)
    assert len(sent) == 5  # the second of a loop replaces the first
    assert not [text for text in sent if is_packed(text)]
    assert all(len(text) < 10_000 for text in sent)
    assert "hunter2" not in output + json.dumps(results)
    would, refused, unknown, _secret, each = results
    assert would["changed"] and would["vault"] == f"{tmp_path}/vault"
    assert refused["error"] == "ProjectError"
    assert "wrong" in unknown["msg"]
    assert len(each["results"]) == 2

    for words in (
        ["-e", f"ansible_python_interpreter={other}"],
        ["-e", THIS_PYTHON, "--become", "--become-method", "su"],
    ):
        packed_results, sent, output = playbook.run(*words)
        assert len(sent) == 5
        assert all(is_packed(text) for text in sent)
        assert comparable(packed_results) == comparable(results)
        assert "hunter2" not in output
