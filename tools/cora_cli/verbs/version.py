# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora version)."""

from __future__ import annotations

from argparse import Namespace

from ansible_collections.cora.backup.plugins.module_utils.version import VERSION

from ..context import Context
from ..errors import DONE
from ..registry import Verb


def run(context: Context, _options: Namespace) -> int:
    """Say which version this is."""
    context.output.document({"version": VERSION})
    context.output.say(f"cora {VERSION}")
    return DONE


VERBS = (Verb(names=("version",), help="show the version", run=run, order=99),)
