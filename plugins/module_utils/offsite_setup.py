# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(cora offsite setup): look at a bucket, switch on what protects, say plainly what is protected and what is not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from .offsite_notes import lock, write_bucket
from .offsite_probe import Found, Prober
from .offsite_settings import OffsiteSettings
from .s3_client import connect
from .vault import Vault

_LARGEST_SKEW_SECONDS = 60


@dataclass(frozen=True)
class SetupRequest:
    """One look at a bucket.

    :param check: change nothing and write nothing, so most rights stay unknown
    """

    vault: str
    settings: OffsiteSettings
    check: bool = False


def setup(request: SetupRequest) -> dict[str, Any]:
    """Probe the bucket, and note what was found for C(cora status).

    :returns: JSON types: what was found, C(protects), C(stolen_key) and C(problems) as sentences
    :raises OffsiteError: when the service cannot be used, or this key may not write
    """
    prober = Prober(connect(request.settings))
    prober.reach()
    prober.look_at_bucket()
    if not request.check:
        prober.switch_versioning_on()
        prober.add_lifecycle_rule()
        prober.try_object()
    found = prober.found
    result = {
        "remote": request.settings.place,
        "checked_at": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
        "encrypted": bool(request.settings.encrypt_to),
        **found.to_json(),
        "protects": protects(found),
        "stolen_key": stolen_key(found, encrypted=bool(request.settings.encrypt_to)),
        "problems": problems(found, request.settings),
    }
    if not request.check:
        vault = Vault(request.vault)
        with lock(vault):
            write_bucket(vault, result)
    return {"changed": bool(found.switched_on), **result}


def protects(found: Found) -> list[str]:
    """What the bucket does for the copies."""
    lines = []
    if found.object_lock:
        lines.append(
            f"Object lock ({found.object_lock['mode']}): nothing can be deleted or replaced for good for "
            f"{found.object_lock['days']} days, with no key"
            + (" but one that may bypass governance." if found.object_lock["mode"] == "GOVERNANCE" else ".")
        )
    if found.versioning == "enabled":
        lines.append("Versioning is on: what is deleted or overwritten stays as an older version.")
    if found.delete_can_be_undone:
        lines.append("A deleted object was brought back.")
    if found.clears_uploads:
        lines.append("Unfinished uploads are cleared away by the service.")
    return lines


def stolen_key(found: Found, *, encrypted: bool) -> list[str]:
    """What somebody could do who has this key."""
    may, lines = found.may, []
    if may.get("read"):
        lines.append("Read the backups, which are encrypted." if encrypted else "Read all backups.")
    elif may.get("read") is False:
        lines.append("Not read the backups.")
    kept = found.versioning == "enabled"
    if may.get("overwrite"):
        lines.append("Overwrite backups" + ("; the older versions stay." if kept else ", and they are gone."))
    if may.get("delete_for_good"):
        lines.append("Delete backups for good, older versions too." if kept else "Delete backups for good.")
    elif may.get("delete"):
        lines.append("Delete backups; that can be undone.")
    elif may.get("delete") is False:
        lines.append("Not delete backups.")
    if may.get("change_versioning") and not found.object_lock:
        lines.append("Switch versioning off for what comes after.")
    return lines


def problems(found: Found, settings: OffsiteSettings) -> list[str]:
    """What should be changed."""
    lines = []
    if found.public:
        lines.append("Anybody on the network can read the bucket WITHOUT a key: make it private at once.")
    if settings.endpoint.startswith("http://"):
        lines.append("The endpoint is http://, so backups travel readable by everybody on the way: use https://.")
    if found.versioning in ("off", "suspended") and not found.object_lock:
        lines.append(
            "Versioning is off and this key may not switch it on: whoever has a key that deletes, deletes for good. "
            "Switch it on with a key of the owner (docs/offsite.md)."
        )
    if found.may.get("delete_for_good"):
        lines.append(
            "This key can destroy the copies for good. Where the service has object lock or policies, use them; where "
            "it has not (Spaces), keep a second copy elsewhere (docs/offsite.md)."
        )
    if found.may.get("list") is False:
        lines.append("This key may not list, so cora offsite list and a restore need another one.")
    lines += [f"A lifecycle {text}, backups among them." for text in found.expires if "removes objects" in text]
    if found.clock_skew_seconds is not None and abs(found.clock_skew_seconds) > _LARGEST_SKEW_SECONDS:
        lines.append(
            f"The clock of this machine is {abs(found.clock_skew_seconds):.0f} seconds "
            f"{'ahead' if found.clock_skew_seconds > 0 else 'behind'}: timedatectl set-ntp true."
        )
    if found.clears_uploads is False:
        lines.append(
            "No lifecycle rule clears unfinished uploads away, and this key may not set one: what a killed run leaves "
            "for good costs money."
        )
    return lines
