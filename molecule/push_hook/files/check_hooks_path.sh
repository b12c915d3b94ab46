#!/bin/sh
# The hooks in ~/hooks of deploy run as they did, and the guard of this one repository too.
set -eu
here=/srv/push_hook
runuser -u deploy -- sh -eu << 'END'
cd /srv/push_hook/project
echo hooks > hooks.txt
git add -A
git commit -q -m 'small again'
git push -q hub main
head -c 55000000 /dev/zero > hooks.bin
git add -A
git commit -q -m 'large again'
if git -c cora.pushOverLimit=stop push hub main 2> /srv/push_hook/seen/hooks-said; then exit 1; fi
git reset -q --hard HEAD~1
END
grep -q '^post-commit' "$here/seen/global"
[ "$(grep -c '^pre-push hub ' "$here/seen/global")" = 1 ]
grep -q 'hooks.bin' "$here/seen/hooks-said"
grep -q 'Push stopped, as set' "$here/seen/hooks-said"
[ "$(ls ~deploy/hooks)" = "$(printf 'post-commit\npre-push')" ]
! grep -q cora ~deploy/hooks/pre-push
