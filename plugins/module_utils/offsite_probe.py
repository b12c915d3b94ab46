# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bucket really does, and what this key really may: found out by trying, on a small object of our own.

Documentation says what a service should do, and a policy what a key should not. A stolen key does what it can. So each
right is used once: write, read, overwrite, delete, take the delete back, delete for good.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import asdict, dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Callable, Optional

from .errors import OffsiteError, OffsiteMissingError, OffsitePermissionError, OffsiteUnsupportedError
from .s3_client import S3
from .s3_errors import translated
from .s3_uploads import ABANDONED_DAYS

LIFECYCLE_ID = "cora-abandoned-uploads"
_NOT_CONFIGURED = (
    "NoSuchLifecycleConfiguration",
    "ObjectLockConfigurationNotFoundError",
    "NoSuchObjectLockConfiguration",
)


@dataclass
class Found:
    """What was found out; None stands for what could not be.

    :param may: by the name of an action, whether this key may do it
    :param versioning: C(enabled), C(suspended), C(off)
    :param delete_can_be_undone: an object was deleted and brought back
    :param object_lock: C(mode) and C(days) of the bucket's default retention; C({}) where it has none
    :param clears_uploads: a lifecycle rule clears unfinished uploads away
    :param expires: what lifecycle rules remove of our objects, in words
    :param public: anybody can read without a key
    :param left_behind: keys of probes that this key may not remove
    """

    region: Optional[str] = None
    clock_skew_seconds: Optional[float] = None
    may: dict[str, Optional[bool]] = field(default_factory=dict)
    versioning: Optional[str] = None
    delete_can_be_undone: Optional[bool] = None
    object_lock: Optional[dict[str, Any]] = None
    clears_uploads: Optional[bool] = None
    expires: list[str] = field(default_factory=list)
    public: Optional[bool] = None
    left_behind: list[str] = field(default_factory=list)
    switched_on: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


class Prober:
    """Tries things on one bucket."""

    def __init__(self, s3: S3) -> None:
        self._s3 = s3
        self._client = s3.client
        self._key = f"{s3.prefix}/probe/{uuid.uuid4().hex}"
        self.found = Found()

    def reach(self) -> None:
        """Key, bucket, address and clock.

        :raises OffsiteError: when the service cannot be used
        """
        before = time.time()
        try:
            with translated("list", self._s3.settings.place):
                answer = self._client.list_objects_v2(Bucket=self._s3.bucket, Prefix=f"{self._s3.prefix}/", MaxKeys=1)
            self.found.may["list"] = True
            self.found.clock_skew_seconds = _skew(answer, (before + time.time()) / 2)
        except OffsitePermissionError:
            self.found.may["list"] = False
        location = self._ask("find the region of", lambda: self._client.get_bucket_location(Bucket=self._s3.bucket))
        self.found.region = (location or {}).get("LocationConstraint") or self._s3.settings.region

    def look_at_bucket(self) -> None:
        """Versioning, object lock and lifecycle, without a change."""
        self.found.versioning = self.versioning()
        lock = self._ask("read", lambda: self._client.get_object_lock_configuration(Bucket=self._s3.bucket))
        if lock is not None:
            self.found.object_lock = _retention(lock)
        rules = self.lifecycle_rules()
        if rules is not None:
            self.found.clears_uploads = any(_clears(rule, self._s3.prefix) for rule in rules)
            self.found.expires = [text for rule in rules if (text := _expiry(rule, self._s3.prefix))]

    def versioning(self) -> Optional[str]:
        """Whether older versions of objects are kept."""
        answer = self._ask("read", lambda: self._client.get_bucket_versioning(Bucket=self._s3.bucket))
        return None if answer is None else str(answer.get("Status") or "off").lower()

    def switch_versioning_on(self) -> None:
        """Where the key may; where it was on already this tells whether the key could switch it off, too."""
        was = self.found.versioning
        wanted = {"Status": "Enabled"}
        self.found.may["change_versioning"] = self._may(
            "switch versioning on for",
            lambda: self._client.put_bucket_versioning(Bucket=self._s3.bucket, VersioningConfiguration=wanted),
        )
        self.found.versioning = self.versioning() or was
        if self.found.versioning == "enabled" and was != "enabled":
            self.found.switched_on.append("versioning")

    def lifecycle_rules(self) -> Optional[list[dict[str, Any]]]:
        """The rules of the bucket; None where this key may not ask."""
        answer = self._ask("read", lambda: self._client.get_bucket_lifecycle_configuration(Bucket=self._s3.bucket))
        return None if answer is None else list(answer.get("Rules", ()))

    def add_lifecycle_rule(self) -> None:
        """Have the service clear away unfinished uploads; the rules that are there stay as they are."""
        rules = self.lifecycle_rules()
        if rules is None or any(_clears(rule, self._s3.prefix) for rule in rules):
            return
        ours = {
            "ID": LIFECYCLE_ID,
            "Status": "Enabled",
            "Filter": {"Prefix": f"{self._s3.prefix}/"},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABANDONED_DAYS},
        }
        self.found.may["change_lifecycle"] = self._may(
            "set a lifecycle rule of",
            lambda: self._client.put_bucket_lifecycle_configuration(
                Bucket=self._s3.bucket, LifecycleConfiguration={"Rules": [*rules, ours]}
            ),
        )
        after = self.lifecycle_rules() or []
        self.found.clears_uploads = any(_clears(rule, self._s3.prefix) for rule in after)
        if self.found.clears_uploads:
            self.found.switched_on.append("lifecycle")

    def try_object(self) -> None:
        """Write, read, overwrite, delete, bring back, delete for good.

        :raises OffsiteError: when this key may not even write
        """
        first, second = b"first\n", b"second\n"
        may = self.found.may
        with translated("write to", self._s3.settings.place):
            version = self._put(first)
        may["write"] = True
        try:
            may["read"] = self._reads(first)
            self.found.public = self._is_public()
            may["overwrite"] = self._may("overwrite a probe in", lambda: self._put(second))
            may["delete"] = self._may(
                "delete a probe in", lambda: self._client.delete_object(Bucket=self._s3.bucket, Key=self._key)
            )
            if may["delete"] and version and may["read"]:
                self.found.delete_can_be_undone = self._reads(first, VersionId=version)
            elif may["delete"]:
                self.found.delete_can_be_undone = False
            if version:
                may["delete_for_good"] = self._may(
                    "delete a version of a probe in",
                    lambda: self._client.delete_object(Bucket=self._s3.bucket, Key=self._key, VersionId=version),
                )
            else:
                may["delete_for_good"] = may["delete"]
        finally:
            self._clean_up()

    def _put(self, data: bytes) -> Optional[str]:
        answer = self._client.put_object(Bucket=self._s3.bucket, Key=self._key, Body=data)
        version = answer.get("VersionId")
        return None if version in (None, "null") else str(version)

    def _reads(self, wanted: bytes, **which: str) -> Optional[bool]:
        try:
            with translated("read a probe in", self._s3.settings.place):
                answer = self._client.get_object(Bucket=self._s3.bucket, Key=self._key, **which)
                data: bytes = answer["Body"].read()
                return data == wanted
        except (OffsitePermissionError, OffsiteMissingError):
            return False

    def _is_public(self) -> Optional[bool]:
        """Whether the probe can be read without a key."""

        def unsign(request: Any, **_others: Any) -> None:
            for name in ("Authorization", "X-Amz-Date", "X-Amz-Content-SHA256"):
                del request.headers[name]

        events = self._client.meta.events
        events.register_last("before-send.s3.GetObject", unsign, unique_id="cora-unsigned")
        try:
            with translated("read without a key", self._s3.settings.place):
                self._client.get_object(Bucket=self._s3.bucket, Key=self._key)["Body"].close()
            return True
        except OffsiteError as error:
            return False if error.code in ("AccessDenied", "NoSuchKey") else None
        finally:
            events.unregister("before-send.s3.GetObject", unsign, unique_id="cora-unsigned")

    def _clean_up(self) -> None:
        """Remove the probe, with all its versions; what stays is told."""
        versions = self._ask(
            "list the versions of a probe in",
            lambda: self._client.list_object_versions(Bucket=self._s3.bucket, Prefix=self._key),
        )
        entries = [*(versions or {}).get("Versions", ()), *(versions or {}).get("DeleteMarkers", ())]
        goes = [
            self._may(
                "remove a probe from",
                lambda entry=entry: self._client.delete_object(  # type: ignore[misc]
                    Bucket=self._s3.bucket, Key=self._key, VersionId=entry["VersionId"]
                ),
            )
            for entry in entries
        ]
        if versions is None or not all(goes):
            self.found.left_behind.append(self._key)

    def _ask(self, action: str, request: Callable[[], Any]) -> Optional[dict[str, Any]]:
        """The answer to a question; C({}) where nothing is set, None where this key may not ask or nobody answers."""
        try:
            with translated(action, self._s3.settings.place):
                return dict(request())
        except (OffsitePermissionError, OffsiteUnsupportedError):
            return None
        except OffsiteError as error:
            if error.code in _NOT_CONFIGURED:
                return {}
            raise

    def _may(self, action: str, request: Callable[[], Any]) -> Optional[bool]:
        try:
            with translated(action, self._s3.settings.place):
                request()
        except OffsitePermissionError:
            return False
        except OffsiteUnsupportedError:
            return None
        return True


def _skew(answer: dict[str, Any], now: float) -> Optional[float]:
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if not date:
        return None
    return round(now - parsedate_to_datetime(date).timestamp(), 1)


def _retention(answer: dict[str, Any]) -> dict[str, Any]:
    retention = answer.get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention", {})
    if not retention:
        return {}
    return {"mode": retention.get("Mode"), "days": retention.get("Days") or 365 * retention.get("Years", 0)}


def _applies(rule: dict[str, Any], prefix: str) -> bool:
    where = rule.get("Filter", {})
    found = where.get("Prefix") or where.get("And", {}).get("Prefix") or rule.get("Prefix") or ""
    return rule.get("Status") == "Enabled" and f"{prefix}/".startswith(found)


def _clears(rule: dict[str, Any], prefix: str) -> bool:
    return _applies(rule, prefix) and "AbortIncompleteMultipartUpload" in rule


def _expiry(rule: dict[str, Any], prefix: str) -> Optional[str]:
    """What a rule removes of ours, in words."""
    if not _applies(rule, prefix):
        return None
    if "Expiration" in rule and (rule["Expiration"].get("Days") or rule["Expiration"].get("Date")):
        return f"rule {rule.get('ID', '?')} removes objects after {rule['Expiration'].get('Days') or 'a date'} days"
    if "NoncurrentVersionExpiration" in rule:
        days = rule["NoncurrentVersionExpiration"].get("NoncurrentDays")
        return f"rule {rule.get('ID', '?')} removes older versions after {days} days"
    return None
