# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The C(cora) command: what changes things stands in a playbook, what only reads calls the engine in process.

Nothing heavy is imported before it is needed: a list of backups answers in 0.2 s.
"""

from __future__ import annotations

import sys
from pathlib import Path

#: The checkout, or the installed collection, this command belongs to.
ROOT = Path(__file__).resolve().parents[2]

#: Whether this is an installed collection: then it stands where Ansible looks for it, and has no inventory of its own.
IS_INSTALLED = ROOT.parts[-3:] == ("ansible_collections", "cora", "backup")

#: The directory in which Python and Ansible find the collection.
COLLECTIONS = ROOT.parents[2] if IS_INSTALLED else ROOT / "playbooks" / "collections"

if str(COLLECTIONS) not in sys.path:
    # first, because a Python with the whole Ansible distribution has an ansible_collections of its own
    sys.path.insert(0, str(COLLECTIONS))
