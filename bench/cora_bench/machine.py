# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone

from .measure import output


def describe(scratch: str) -> dict[str, str]:
    """Processor, memory, file system and systems, by label."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as stream:
        models = [line.partition(":")[2].strip() for line in stream if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "when": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        "processor": f"{len(os.sched_getaffinity(0))} × {models[0] if models else platform.machine()}",
        "memory": f"{memory / 1e9:.0f} GB",
        "file system": output("findmnt", "--noheadings", "--output", "FSTYPE", "--target", scratch),
        "kernel": platform.release(),
        "load before the run": f"{os.getloadavg()[0]:.1f}",
    }
