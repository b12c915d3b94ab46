#!/bin/bash
# make_projects.sh NAME...: makes a project for each, and removes what an earlier run left.
set -eu
if [ -d /srv/fleet ]; then chattr -R -f -ia /srv/fleet || :; fi
rm -rf /srv/fleet
for name in "$@"; do
    mkdir -p "/srv/fleet/$name/project"
    cd "/srv/fleet/$name/project"
    echo "done on $name" > AI_WORK_LOG.md
    seq 10000 > data.txt
done
