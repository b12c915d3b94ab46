# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module that talks to a copy elsewhere runs: what it needs is there, it does its work, it ends with the result.

For modules alone: this imports Ansible.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Callable, Optional

from ansible.module_utils.basic import missing_required_lib

from . import argspec
from .errors import CoraError

Result = dict[str, Any]


def no_error(_result: Result) -> Optional[str]:
    """For work that has a good result or none."""
    return None


def first_failure(result: Result) -> Optional[str]:
    """The error of a result that lists failures."""
    return str(result["failures"][0]["error"]) if result["failures"] else None


def run(
    module: Any,
    work: Callable[[], Result],
    summarize: Callable[[Result], list[str]],
    *,
    needs: str = "",
    error_of: Callable[[Result], Optional[str]] = no_error,
) -> None:
    """Do what a module is for, and end it.

    :param work: reads the parameters and calls the engine; may raise CoraError
    :param needs: a Python package without which it cannot
    :param error_of: the class of the error where a result is a bad one
    """
    if needs and find_spec(needs) is None:
        module.fail_json(msg=missing_required_lib(needs), error="ImportError")
    argspec.stop_on_signals()
    try:
        result = work()
    except CoraError as error:
        module.fail_json(**argspec.failure(error))
    summary, bad = summarize(result), error_of(result)
    if bad:
        argspec.fail(module, result, summary, bad)
    argspec.finish(module, result, summary)
