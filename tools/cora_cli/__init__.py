# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The C(cora) command: what changes things stands in a playbook, what only reads calls the engine in process.

Nothing heavy is imported before it is needed: a list of backups answers in 0.2 s.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

# Texts, not paths: to import pathlib takes as long as to list two hundred backups.
ROOT_DIRECTORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

#: Whether this is an installed collection: then it stands where Ansible looks for it, and has no inventory of its own.
IS_INSTALLED = ROOT_DIRECTORY.split(os.sep)[-3:] == ["ansible_collections", "cora", "backup"]

_COLLECTIONS = os.path.normpath(os.path.join(ROOT_DIRECTORY, "../../.." if IS_INSTALLED else "playbooks/collections"))

if TYPE_CHECKING:
    from pathlib import Path

    #: The checkout, or the installed collection, this command belongs to.
    ROOT: Path
    #: The directory in which Python and Ansible find the collection.
    COLLECTIONS: Path
else:

    def __getattr__(name):
        """C(ROOT) and C(COLLECTIONS), for those who ask for them."""
        texts = {"ROOT": ROOT_DIRECTORY, "COLLECTIONS": _COLLECTIONS}
        if name not in texts:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from pathlib import Path

        return Path(texts[name])


if _COLLECTIONS not in sys.path:
    # first, because a Python with the whole Ansible distribution has an ansible_collections of its own
    sys.path.insert(0, _COLLECTIONS)
