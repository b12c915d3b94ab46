#!/bin/sh
# The hook that was there is there again, and nothing of the guard.
set -eu
here=/srv/push_hook
cmp "$here/seen/original" "$here/project/.git/hooks/pre-push"
[ "$(stat -c '%U %a' "$here/project/.git/hooks/pre-push")" = 'deploy 755' ]
cmp "$here/seen/config" "$here/project/.git/config"
[ ! -e /etc/sudoers.d/cora-push ]
[ -z "$(find "$here/project/.git" -maxdepth 2 -name '*cora*')" ]
: > "$here/seen/chained"
runuser -u deploy -- git config --global --unset core.hooksPath
runuser -u deploy -- sh -eu << 'END'
cd /srv/push_hook/project
echo more > more
git add -A
git commit -q -m more
git push -q hub main 2> /srv/push_hook/seen/removed-said
END
[ ! -s "$here/seen/removed-said" ]
grep -q '^hub ' "$here/seen/chained"
chattr -R -i -a "$here/vault"
rm -rf "$here"
