#!/bin/sh
# Who may do what by /etc/sudoers.d/cora-push.
set -eu
visudo -cf /etc/sudoers
[ "$(stat -c '%U %a' /etc/sudoers.d/cora-push)" = 'root 440' ]
may() { user=$1; shift; runuser -u "$user" -- sudo -n -l -- "$@" > /dev/null 2>&1; }
may_not() { ! may "$@" || { echo "may: $*" >&2; exit 1; }; }

for user in deploy builder; do
    may "$user" /usr/local/bin/cora backup now --project /srv/push_hook/project
    may_not "$user" /usr/local/bin/cora
    may_not "$user" /usr/local/bin/cora list
    may_not "$user" /usr/local/bin/cora backup now
    may_not "$user" /usr/local/bin/cora backup now --project /
    may_not "$user" /usr/local/bin/cora backup now --project /srv/push_hook/project/..
    may_not "$user" /usr/local/bin/cora backup now --project /srv/push_hook/project --vault /tmp
    may_not "$user" CORA_VENV=/tmp /usr/local/bin/cora backup now --project /srv/push_hook/project
    may_not "$user" /bin/sh
done
may_not stranger /usr/local/bin/cora backup now --project /srv/push_hook/project
