# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of a test run."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .commands import ROOT, repository_files, run
from .outcome import Outcome, from_junit, from_last_line, from_returncode
from .sanity import run_sanity

#: The engine and the plugins, under the name they are imported by.
COLLECTION = "playbooks/collections/ansible_collections/cora/backup"


@dataclass(frozen=True)
class Stage:
    """One named check.

    :param work: called with whether slow tests are left out
    :param in_fast: part of --fast
    :param waits: runs beside the others in a lane of its own, because it waits for much and computes little
    """

    name: str
    work: Callable[[bool], Outcome]
    in_fast: bool = True
    waits: bool = False


def tool(*argv: str) -> Callable[[bool], Outcome]:
    """A check that is one command."""
    return lambda _fast: from_returncode(*run(argv, timeout_seconds=600))


def shellcheck(_fast: bool) -> Outcome:
    """Every shell script, found by name."""
    scripts = [str(path) for path in [*repository_files("*.sh"), Path(".ci/run")]]
    return from_returncode(*run(["shellcheck", "--external-sources", *scripts], timeout_seconds=120))


def pytest(directory: str, *, part: int = 1, parts: int = 1) -> Callable[[bool], Outcome]:
    """The tests of a directory, or of every so many of its files, counted one by one."""

    def work(fast: bool) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="cora-pytest-") as scratch:
            report = Path(scratch, "junit.xml")
            argv = [
                # hundreds of tests start Python: each would compile the engine anew
                "env",
                "--unset=PYTHONDONTWRITEBYTECODE",
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "--color=no",
                "-p",
                "no:cacheprovider",
                f"--junit-xml={report}",
            ]
            if fast:
                argv += ["-m", "not slow"]
            files = sorted(str(path) for path in Path(directory).glob("test_*.py"))
            code, output = run([*argv, *files[part - 1 :: parts]], timeout_seconds=600 if fast else 2400)
            return from_junit(report, code, output)

    return work


def ansible_lint(fast: bool) -> Outcome:
    """Playbooks and roles; where there is time, the scenarios of Molecule too: they are half of the work."""
    fewer = ["--exclude", "molecule"] if fast else []
    return from_returncode(*run(["ansible-lint", "--offline", "--nocolor", *fewer], timeout_seconds=600))


def molecule(_fast: bool) -> Outcome:
    """All scenarios, on containers with a real systemd."""
    env = {"CORA_TEST_PYTHON": sys.executable}
    return from_last_line(*run([str(ROOT / "molecule" / "run.sh")], timeout_seconds=2700, env=env))


#: The longest first: they run two at a time, and beside them the one that waits.
STAGES = (
    Stage("unit-1", pytest("tests/unit", part=1, parts=2)),
    Stage("unit-2", pytest("tests/unit", part=2, parts=2)),
    Stage("faults", pytest("tests/faults")),
    Stage("offsite", pytest("tests/offsite"), in_fast=False),
    Stage("sanity", run_sanity),
    Stage("ansible-lint", ansible_lint),
    Stage("mypy", tool("mypy", f"{COLLECTION}/plugins", "tools/cora_cli", "tests")),
    Stage("ruff-check", tool("ruff", "check", "--no-cache", ".")),
    Stage("ruff-format", tool("ruff", "format", "--no-cache", "--diff", ".")),
    Stage("yamllint", tool("yamllint", "--strict", "--format", "parsable", ".")),
    Stage("shellcheck", shellcheck),
    Stage("changelog", tool("antsibull-changelog", "lint")),
    Stage("molecule", molecule, in_fast=False, waits=True),
)
