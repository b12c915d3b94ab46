# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stage came to, and how the reports of other tools are counted."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """Counts of one stage; ``output`` is shown when something failed."""

    passed: int
    failed: int
    skipped: int = 0
    output: str = ""

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        text = f"{self.passed} passed, {self.failed} failed"
        return f"{text}, {self.skipped} skipped" if self.skipped else text


def from_returncode(returncode: int, output: str) -> Outcome:
    """A tool that only says yes or no counts as one."""
    return Outcome(int(returncode == 0), int(returncode != 0), output=output)


def from_junit(report: Path, returncode: int, output: str) -> Outcome:
    """The tests of a pytest run; a run that ended without a usable report, or found no test, is one failure."""
    if not report.exists():
        return Outcome(0, 1, output=output)
    tests = failed = skipped = 0
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        tests += int(suite.get("tests", "0"))
        failed += int(suite.get("failures", "0")) + int(suite.get("errors", "0"))
        skipped += int(suite.get("skipped", "0"))
    if returncode != 0 and failed == 0:
        failed = 1
        tests += 1
    # A test whose teardown fails after it passed is counted by pytest twice in "errors" and once in "tests".
    return Outcome(max(0, tests - failed - skipped), failed, skipped, output)


def from_last_line(returncode: int, output: str) -> Outcome:
    """The counts that the output ends with (``N passed, N failed``)."""
    lines = output.strip().splitlines() or [""]
    counts = re.fullmatch(r"(\d+) passed, (\d+) failed", lines[-1])
    if counts is None:
        return Outcome(0, 1, output=output)
    passed, failed = int(counts[1]), int(counts[2])
    return Outcome(passed, failed or int(returncode != 0), output=output)
