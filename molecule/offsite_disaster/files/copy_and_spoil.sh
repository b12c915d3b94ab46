#!/bin/bash
# Backups go elsewhere and come through: a kill in the middle, a spoiled object, a deleted one. rclone is the judge.
set -euo pipefail
top=/srv/offsite_disaster
vault=$top/vault
python=/opt/cora/venv/bin/python
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
cd $top/project
cora backup now > /dev/null
id=$(cd $vault && ls -d 2*)
there=spaces:cora-backups/prod/${id:0:4}-${id:4:2}-${id:6:2}/$id
names() { rclone lsf --recursive --files-only "$there" 2> /dev/null | LC_ALL=C sort; }

# A kill in the middle: nothing is listed, and the next run goes on from there.
echo '{"cora_offsite_bytes_per_second": 6000000}' > /tmp/slow.json
systemd-run --quiet --collect --unit cora-test-sync --setenv HOME=/root cora offsite sync -e @/tmp/slow.json
$python /molecule/offsite_disaster/files/wait_for_parts.py 16000000 || fail "no parts came: $(journalctl -u cora-test-sync)"
systemctl kill --signal KILL cora-test-sync || fail "it had ended: $(journalctl -u cora-test-sync)"
while systemctl --quiet is-active cora-test-sync; do sleep 0.1; done
names | grep -q SHA256SUMS.txt && fail "it ended before the kill"
[ "$(cora offsite list --json | tr -d '[:space:]')" = '[]' ] || fail "half a copy is listed"

first=$(cora offsite sync --json) || fail "the second run: $first"
again=$(cora offsite sync --json) || fail "the third run: $again"
python3 - "$first" "$again" "$(stat -c %s $vault/"$id"/cora-full.tar.gz)" <<'END' || fail "first $first, again $again"
import json, sys
first, again = json.loads(sys.argv[1]), json.loads(sys.argv[2])
assert first["changed"] and first["bytes_found"] > 5_000_000, "it began anew"
assert 0 < first["bytes_sent"] < int(sys.argv[3]) - 5_000_000, "it sent what was there"
assert not again["changed"] and again["bytes_sent"] == 0
END

# What stands there is what stands here, says rclone, which read it all.
rclone check --download --one-way "$vault/$id" "$there" 2> /tmp/check.log || fail "$(cat /tmp/check.log)"
[ "$(names | wc -l)" = "$(find "$vault/$id" -type f | wc -l)" ] || fail "other files: $(names)"
cora offsite verify "$id" --deep > /dev/null || fail "the copy is not intact"

# A spoiled object is found and named.
rclone copyto "$there/cora-full.tar.gz" /tmp/archive
printf 'spoiled' | dd of=/tmp/archive bs=1 seek=5000000 conv=notrunc status=none
rclone copyto --ignore-times /tmp/archive "$there/cora-full.tar.gz"
said=$(cora offsite verify "$id" --deep 2>&1) && fail "the spoiled archive was not found"
grep -q cora-full.tar.gz <<< "$said" || fail "it does not say which: $said"
rclone copyto --ignore-times "$vault/$id/cora-full.tar.gz" "$there/cora-full.tar.gz"

# With versions, what somebody deletes can be had again.
cora offsite setup > /tmp/setup.log || fail "$(cat /tmp/setup.log)"
grep -qi version /tmp/setup.log || fail "setup says nothing of versions: $(cat /tmp/setup.log)"
rclone deletefile "$there/cora-full.tar.gz"
names | grep -q cora-full.tar.gz && fail "it is not deleted"
$python /molecule/offsite_disaster/files/undelete.py "${there#spaces:cora-backups/}/cora-full.tar.gz"
cora offsite verify "$id" --deep > /dev/null || fail "what was deleted is not back as it was"
cora status --json > /tmp/status.json || :
grep -q offsite /tmp/status.json || fail "status does not speak of it"
