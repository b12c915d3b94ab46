#!/bin/bash
# Nobody types anything here: the timer makes the first backup, then a checkpoint of each change, and none without.
set -euo pipefail
project='/srv/timers/pro ject' vault=/srv/timers/vault
fail() {
  echo "FAILED: $*" >&2
  tail -n 30 /var/log/cora-backup.log >&2
  exit 1
}
wait_for() { # WHAT COMMAND...
  local what=$1 end=$((SECONDS + 150))
  shift
  until "$@"; do
    ((SECONDS < end)) || fail "no $what"
    sleep 0.2
  done
}
has_backup() { compgen -G "$vault/2*/SHA256SUMS.txt" > /dev/null; }
checkpoints() { { find "$vault/progress" -name changes.tar.gz 2> /dev/null || :; } | wc -l; }
has_checkpoints() { (($(checkpoints) >= $1)); }
ran_again() { [ "$(systemctl show -P LastTriggerUSec cora-save.timer)" != "$last" ]; }
save_rests() { [ "$(systemctl show -P ActiveState cora-save.service)" = inactive ]; }

wait_for "first backup" has_backup
wait_for "end of the first run" save_rests
(cd "$vault"/2* && sha256sum --check --quiet SHA256SUMS.txt) || fail "the backup is damaged"
lsattr -d "$vault"/2* | grep -q '^....i' || fail "the backup is not sealed"
[ "$(sqlite3 "file:$(echo "$vault"/2*/db/shop.db)?immutable=1" 'SELECT count(*) FROM orders')" = 2 ] || fail "database"
[ "$(cat "$vault"/2*/critical/.env)" = secret ] || fail "a file that only its owner reads"
[ -s "$(echo "$vault"/2*/git/unpushed.bundle)" ] || fail "commits that no remote has"
grep -q '"incomplete": false' "$vault"/2*/REPORT.json || fail "incomplete"

before=$(checkpoints)
echo changed > "$project/shared/file"
wait_for checkpoint has_checkpoints $((before + 1))
wait_for "end of the run" save_rests
tar -xzOf "$(find "$vault/progress" -name changes.tar.gz | sort | tail -n 1)" --wildcards '*shared/file' |
  grep -qx changed || fail "the change is not in the checkpoint"

before=$(checkpoints) last=$(systemctl show -P LastTriggerUSec cora-save.timer)
wait_for "another run" ran_again
wait_for "end of it" save_rests
[ "$(checkpoints)" = "$before" ] || fail "a checkpoint of nothing"

# The others, started as their timers do it.
for job in backup verify prune; do
  systemctl start "cora-$job.service" || fail "$job"
done
[ -z "$(find /var/lib/cora/runner -mindepth 2 -maxdepth 2)" ] || fail "successful runs left something"
systemctl --failed --no-legend 'cora-*' | grep . && fail "a unit has failed"
grep -q 'cora save' /var/log/cora-backup.log || fail "nothing in the log"
# grep -q in a pipe would break it off
journal=$(journalctl -u cora-save --output=cat)
grep -q 'Nothing changed since' <<< "$journal" || fail "nothing in the journal"
! grep 'Invoked with' <<< "$journal" || fail "arguments in the journal"
