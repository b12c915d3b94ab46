#!/bin/bash
# work.sh 1|2: what a person does between two saves. Leaves what `cp` makes of the project afterwards in state1 or state2.
set -eu
top=/srv/checkpoint_restore
cd "$top/project"
case $1 in
    1)
        echo 'more was done' >> AI_WORK_LOG.md
        echo SECRET=2 > .env
        seq 5000 > src/file7.txt
        chmod 0711 src/file8.txt
        setfattr -n user.cora -v value src/file9.txt
        chown daemon:games src/file10.txt
        rm -r names/goes names/-rf names/going $'names/new\nline'
        echo 6 > $'names/new \xfe'
        mkdir names/empty
        ln -sfn src link
        echo 'linked anew' > hard-a
        sqlite3 shop.db 'INSERT INTO orders VALUES (2)'
        ;;
    2)
        # A name comes back, as another kind of thing; what was changed before is changed again, or back.
        mkdir names/goes && echo 7 > names/goes/file
        rm -r src/file7.txt names/empty
        echo 'and more' >> AI_WORK_LOG.md
        chmod 0644 src/file8.txt
        sqlite3 shop.db 'INSERT INTO orders VALUES (3)'
        ;;
esac
rm -rf "$top/state$1"
cp -a . "$top/state$1"
