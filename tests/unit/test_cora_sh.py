# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tools/cora.sh makes its environment, survives what interrupts that, and gets out of the way.

The checkout here needs no packages and has a command that only says how it was called, so no network is used.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = """\
import json, os, sys
def main(words):
    print(json.dumps({"argv": words, "cwd": os.getcwd(), "path": sys.path[0], "prefix": sys.prefix,
                      "leaked": [name for name in os.environ if name.startswith("PYTHON")]}))
"""
#: Some minutes together: left out by test.sh --fast.
pytestmark = pytest.mark.slow
UNREACHABLE = "no-such-package-of-cora==1.0\n"


def make_checkout(directory: Path) -> Path:
    shutil.copytree(ROOT / "tools/lib", directory / "tools/lib")
    for name in ("cora.sh", "backup_cora.sh"):
        shutil.copy2(ROOT / "tools" / name, directory / "tools")
    (directory / "tools/cora_cli").mkdir()
    (directory / "tools/cora_cli/__init__.py").touch()
    (directory / "tools/cora_cli/main.py").write_text(COMMAND)
    (directory / "requirements.txt").write_text("# nothing\n")
    return directory


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout that has been used once."""
    checkout = make_checkout(tmp_path_factory.mktemp("ready") / "checkout")
    assert cora(checkout).returncode == 0
    return checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return make_checkout(tmp_path / "checkout")


def start(
    checkout: Path, *arguments: str, script: str = "cora.sh", cwd: Path | str = "/", **env: str
) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.Popen(
        [checkout / "tools" / script, *arguments],
        cwd=cwd,
        env={**environment, "CORA_PYTHON": sys.executable, "PIP_NO_INDEX": "1", **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def cora(
    checkout: Path, *arguments: str, script: str = "cora.sh", cwd: Path | str = "/", **env: str
) -> subprocess.CompletedProcess[str]:
    process = start(checkout, *arguments, script=script, cwd=cwd, **env)
    stdout, stderr = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def test_first_use_says_one_line_and_keeps_stdout_clean(checkout: Path) -> None:
    done = cora(checkout, "backup", "two words")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["argv"] == ["backup", "two words"]
    assert len(done.stderr.splitlines()) == 1
    assert "installing" in done.stderr


def test_later_uses_are_silent_and_install_nothing(ready: Path) -> None:
    before = sorted(path.stat().st_mtime_ns for path in ready.glob(".venv.d/*"))
    done = cora(ready)
    assert done.returncode == 0
    assert done.stderr == ""
    assert sorted(path.stat().st_mtime_ns for path in ready.glob(".venv.d/*")) == before


def test_a_tree_that_a_restore_kept_gets_nothing_new(tmp_path: Path) -> None:
    kept = make_checkout(tmp_path / "shop.old-20261128-190853" / "cora")
    before = sorted(os.listdir(kept))
    done = cora(kept, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["prefix"] == str(tmp_path / "cache/cora/venv")
    assert sorted(os.listdir(kept)) == before
    # an undo puts the tree back in its place while the command runs
    assert told["path"].startswith(str(tmp_path / "cache/cora/kept/"))
    assert cora(kept, XDG_CACHE_HOME=str(tmp_path / "cache")).stderr == "", "the environment serves the next copy too"


def test_runs_in_the_environment_and_in_the_callers_directory(ready: Path, tmp_path: Path) -> None:
    told = json.loads(cora(ready, cwd=tmp_path).stdout)
    assert told["cwd"] == str(tmp_path)
    assert told["prefix"] == str(ready / ".venv")
    assert told["path"] == str(ready / "tools")


def test_the_callers_directory_is_not_imported_from(ready: Path, tmp_path: Path) -> None:
    for name in ("json", "os", "cora_cli"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the project')")
    assert cora(ready, cwd=tmp_path).returncode == 0
    assert cora(ready, cwd=tmp_path, PYTHONPATH=str(tmp_path)).returncode == 0


def test_services_inherit_no_python_settings(ready: Path) -> None:
    assert json.loads(cora(ready).stdout)["leaked"] == []


def test_works_through_a_link_and_by_its_older_name(ready: Path, tmp_path: Path) -> None:
    link = tmp_path / "cora"
    link.symlink_to(ready / "tools/cora.sh")
    done = subprocess.run([link, "list"], capture_output=True, text=True, check=True, cwd="/")
    assert json.loads(done.stdout)["argv"] == ["list"]
    assert json.loads(cora(ready, "now", script="backup_cora.sh").stdout)["argv"] == ["backup", "now"]


def test_a_killed_first_use_is_repaired(checkout: Path) -> None:
    process = start(checkout)
    until = time.monotonic() + 30
    while not list(checkout.glob(".venv.d/*/bin/python")):
        assert time.monotonic() < until
        time.sleep(0.02)
    process.kill()
    process.communicate()
    done = cora(checkout)
    assert done.returncode == 0, done.stderr
    assert len([path for path in (checkout / ".venv.d").iterdir() if path.is_dir()]) == 1


def test_two_at_once_install_once(checkout: Path) -> None:
    processes = [start(checkout), start(checkout)]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert sum("installing Python packages" in text for text in errors) == 1


def test_changed_requirements_make_it_anew(checkout: Path) -> None:
    cora(checkout)
    before = os.readlink(checkout / ".venv")
    (checkout / "requirements.txt").write_text("# something else\n")
    assert cora(checkout).returncode == 0
    assert os.readlink(checkout / ".venv") != before


def test_a_moved_checkout_makes_it_anew(checkout: Path, tmp_path: Path) -> None:
    cora(checkout)
    moved = checkout.rename(tmp_path / "moved")
    done = cora(moved)
    assert "installing" in done.stderr
    assert cora(moved).stderr == ""


def test_failed_installation_says_why_and_what_to_do(checkout: Path) -> None:
    (checkout / "requirements.txt").write_text(UNREACHABLE)
    done = cora(checkout)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "no-such-package-of-cora" in done.stderr
    assert "PIP_INDEX_URL" in done.stderr
    assert not (checkout / ".venv").exists()


def test_failed_renewal_goes_on_with_what_there_is(checkout: Path) -> None:
    """A backup tool must not stop for a package index that is down."""
    cora(checkout)
    (packages,) = checkout.glob(".venv/lib/python*/site-packages")
    for name in ("ansible", "ansible_runner"):
        (packages / f"{name}.py").touch()
    (checkout / "requirements.txt").write_text(UNREACHABLE)
    done = cora(checkout, "list")
    assert done.returncode == 0
    assert json.loads(done.stdout)["argv"] == ["list"]
    assert "going on" in done.stderr


def test_an_old_python_is_refused(checkout: Path) -> None:
    old = checkout / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo "Python 3.8.1" || exit 1\n')
    old.chmod(0o755)
    done = cora(checkout, CORA_PYTHON=str(old))
    assert done.returncode == 1
    assert "3.10 or newer" in done.stderr
    assert "3.8.1" in done.stderr


def test_an_environment_of_somebody_else_is_left_alone(checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv/mine").touch()
    done = cora(checkout)
    assert done.returncode == 1
    assert "CORA_VENV" in done.stderr
    assert (checkout / ".venv/mine").exists()
    elsewhere = checkout / "else where"
    assert cora(checkout, CORA_VENV=str(elsewhere)).returncode == 0
    assert (elsewhere / "bin/python").exists()
