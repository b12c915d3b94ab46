#!/bin/sh
# /srv/push_hook: a project of deploy with a hook that notes what it is given, pushed once to a bare repository.
set -eu
here=/srv/push_hook
if [ -d "$here" ]; then
    chattr -R -i -a "$here"
    rm -rf "$here"
fi
for user in deploy builder stranger; do
    id "$user" > /dev/null 2>&1 || useradd --create-home --shell /bin/sh "$user"
    runuser -u "$user" -- git config --global user.name "$user"
    runuser -u "$user" -- git config --global user.email "$user@example.org"
done
mkdir -p "$here"
chmod 755 "$here"
install -d -o deploy -g deploy "$here/project" "$here/remote.git" "$here/seen"
chmod 777 "$here/seen"
runuser -u deploy -- sh -eu << 'END'
cd /srv/push_hook
git init -q --bare -b main remote.git
git init -q -b main project
cd project
printf '#!/bin/sh\n{ echo "$@"; cat; } >> /srv/push_hook/seen/chained\n[ ! -e /srv/push_hook/seen/refuse ]\n' > .git/hooks/pre-push
chmod 755 .git/hooks/pre-push
cp -p .git/hooks/pre-push ../seen/original
echo readme > README.md
git add -A
git commit -q -m readme
git remote add hub /srv/push_hook/remote.git
git push -q hub main
cp .git/config ../seen/config
END
rm "$here/seen/chained"
/molecule/shared/files/packages.sh give
