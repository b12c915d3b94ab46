#!/bin/bash
# check_lines.sh stopped|running: archives and log together hold every line once, in order; archives are sealed, logs are
# the same files as before, and what was append-only still is. Stopped: nobody writes any more, and all is looked at.
set -eu -o pipefail
shopt -s nullglob
fail() { echo "FAILED: $*" >&2; exit 1; }
cd /srv/rotate/project
[ "$(stat -c '%n %i' logs/app.log AI_WORK_LOG.md)" = "$(cat /srv/rotate/inodes)" ] || fail 'other files than before'
lsattr AI_WORK_LOG.md | cut -d' ' -f1 | grep -q a || fail 'the protection is gone'
[ "$(cat small.log)" = small ] || fail 'small.log'
for log in logs/app.log AI_WORK_LOG.md; do
    archives=("/srv/rotate/vault/rotated/$log"/*.gz)
    [ "${#archives[@]}" -ge 1 ] || fail "no archive of $log"
    [ "$(stat -c %s "$log")" -lt 1000000 ] || [ "$1" = running ] || fail "$log was not cut"
    for archive in "${archives[@]}"; do
        lsattr "$archive" | grep -q '^....i' || fail "$archive is not sealed"
        gzip -t "$archive"
        if rm -f "$archive" 2> /dev/null; then fail "rm took $archive"; fi
    done
    [ "$1" = stopped ] || continue
    { gzip -dc "${archives[@]}" && cat "$log"; } \
        | awk '{ if ($0 != sprintf("%09d", NR)) { print "line " NR " is " $0; exit 1 } } END { exit NR < 200000 }' \
        || fail "lines of $log"
done
