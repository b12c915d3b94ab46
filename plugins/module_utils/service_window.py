# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time in which services stand still: stop, change, start, look whether all is well, or take the change back."""

from __future__ import annotations

from typing import Callable

from .errors import CoraError, RestoreError, TargetBusyError
from .names import printable
from .open_files import holders
from .services import ServiceControl


def refuse_open_databases(paths: list[str]) -> None:
    """Refuse to replace a database that a process holds open: it would go on writing into a file that is gone.

    :param paths: absolute paths of databases and their side files
    :raises TargetBusyError: naming the processes
    """
    found = holders(paths)
    if found:
        who = ", ".join(sorted({f"{printable(holder.name)} (process {holder.pid})" for holder in found}))
        raise TargetBusyError(
            f"{printable(found[0].path)} is open in {who}. Stop it first, or name it as a service (cora_services) so "
            "that the "
            "restore stops and starts it. Nothing was changed."
        )


def change_between(
    control: ServiceControl, *, before: Callable[[], None], change: Callable[[], None], take_back: Callable[[], None]
) -> list[str]:
    """Stop the services, run C(before) and C(change), start the services and check their health.

    :param before: last checks; changes nothing
    :param take_back: undoes what C(change) did, however far it came
    :returns: sentences that say what was done to services
    :raises RestoreError: when it failed; then everything is as it was, unless the message says otherwise
    """
    done: list[str] = []
    try:
        done += control.stop_all()
        before()
    except (CoraError, OSError, KeyboardInterrupt):
        control.start_all()
        raise
    try:
        change()
        done += control.start_all()
        control.check_health()
    except (CoraError, OSError, KeyboardInterrupt) as error:
        raise _taken_back(control, take_back, error) from error
    return done


def _taken_back(control: ServiceControl, take_back: Callable[[], None], error: BaseException) -> RestoreError:
    reason = (str(error) or "it was interrupted").rstrip(".")
    try:
        _stop_again(control)
        take_back()
        control.start_all()
    except (CoraError, OSError) as second:
        return RestoreError(
            f"The restore failed ({reason}), and taking it back failed too ({second}). What was there before is kept: "
            "run "
            "cora undo when the cause is removed."
        )
    failure = RestoreError(f"The restore failed and was taken back: {reason}. Everything is as it was before.")
    failure.rolled_back = True
    return failure


def _stop_again(control: ServiceControl) -> None:
    try:
        control.stop_all()
    except CoraError:
        pass  # the old tree has to come back even under a service that does not stop; starting it is reported
