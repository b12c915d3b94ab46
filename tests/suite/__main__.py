# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run stages, print what each came to, and end with one line of counts."""

from __future__ import annotations

import argparse
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

from .commands import interrupt_all
from .outcome import Outcome
from .stages import STAGES, Stage

#: At a time: most of them keep one core busy. What mostly waits has a lane of its own.
LANES = 2


def main(arguments: Sequence[str]) -> int:
    """Return 0 when everything passed."""
    parser = argparse.ArgumentParser(prog="tools/test.sh", description="Check everything there is to check.")
    parser.add_argument("--fast", action="store_true", help="without containers and slow tests")
    parser.add_argument("--list", action="store_true", help="name the stages")
    parser.add_argument(
        "--only", action="append", metavar="STAGE", choices=[stage.name for stage in STAGES], help="this stage alone"
    )
    options = parser.parse_args(arguments)
    chosen = [stage for stage in STAGES if stage.name in (options.only or [stage.name])]
    if options.fast and not options.only:
        chosen = [stage for stage in chosen if stage.in_fast]
    if options.list:
        print("\n".join(stage.name for stage in chosen))
        return 0
    total = run_stages(chosen, fast=options.fast)
    print(total, flush=True)
    return 1 if total.failed else 0


def run_stages(stages: Sequence[Stage], *, fast: bool) -> Outcome:
    """Run them, beside the lanes those that mostly wait; returns the sum."""
    total = Outcome(0, 0)
    with ThreadPoolExecutor(LANES) as busy, ThreadPoolExecutor(1) as waiting:
        running = {(waiting if stage.waits else busy).submit(timed, stage, fast): stage for stage in stages}
        try:
            for future in as_completed(running):
                total += report(running[future], future)
        except KeyboardInterrupt:
            for pool in (busy, waiting):
                pool.shutdown(wait=False, cancel_futures=True)
            interrupt_all()
            raise
    return total


def timed(stage: Stage, fast: bool) -> tuple[Outcome, float]:
    """Run one; returns what it came to and its seconds."""
    began = time.monotonic()
    outcome = stage.work(fast)
    return outcome, time.monotonic() - began


def report(stage: Stage, future: Future[tuple[Outcome, float]]) -> Outcome:
    """Print a finished stage as one block, so that some at a time stay readable."""
    error = future.exception()
    if error is not None:
        # A stage that breaks is a failed stage: the others still have to run.
        outcome, seconds = Outcome(0, 1, output="".join(traceback.format_exception(error))), 0.0
    else:
        outcome, seconds = future.result()
    block = f"{'FAILED' if outcome.failed else 'ok':<6}  {stage.name:<13} {seconds:6.1f} s   {outcome}\n"
    if outcome.failed:
        block = f"{'-' * 20} {stage.name}\n{outcome.output.rstrip()}\n{block}"
    sys.stdout.write(block)
    sys.stdout.flush()
    return outcome


signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    code = main(sys.argv[1:])
except KeyboardInterrupt:
    code = 130
sys.exit(code)
