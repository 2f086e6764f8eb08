#!/bin/sh
# workload.sh - small programs for large programs.
#
#     workload.sh probe NAME           is what it takes there?  (status)
#     workload.sh prepare NAME SIZE    make its input, in the directory that
#                                      is current
#     workload.sh run NAME SIZE        run it there; what it prints is the
#                                      same each time
#     workload.sh package NAME         the Debian packages it takes
#
# SIZE 1 takes a second or less.  Environment: SRCDIR, BUILDDIR (absolute); RUN
# is put before each program: nothing, or arena-run with its options.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
# Programs of the system, not those of a user who has others.
PATH=/usr/bin:/bin:/usr/sbin:/sbin:$PATH
LC_ALL=C.UTF-8 TZ=UTC HOME=$PWD PYTHONHASHSEED=1 PERL_HASH_SEED=1
export PATH LC_ALL TZ HOME PYTHONHASHSEED PERL_HASH_SEED
RUN=${RUN:-}

have()
{
    for program; do
        command -v "$program" >/dev/null || return 1
    done
}

# Run a program as RUN says, which is meant to be split.
run()
{
    # shellcheck disable=SC2086
    $RUN "$@"
}

# The same for long outputs.
run_sum()
{
    run "$@" >output
    cksum <output
}

# --- Languages ----------------------------------------------------------------

bash_packages() { echo bash; }
bash_probe() { have bash; }
bash_run() { run bash "$here/bash.sh" "$1"; }

perl_packages() { echo perl; }
perl_probe() { have perl; }
perl_run() { run perl "$here/perl.pl" "$1"; }

python_packages() { echo python3; }
python_probe() { have python3; }
python_run() { run python3 "$here/python.py" "$1"; }

lua_packages() { echo lua5.4; }
lua_probe() { have lua5.4; }
lua_run() { run lua5.4 "$here/lua.lua" "$1"; }

gawk_packages() { echo gawk; }
gawk_probe() { have gawk; }
gawk_run() { run gawk -v size="$1" -f "$here/gawk.awk"; }

node_packages() { echo nodejs; }
node_probe() { have node; }
node_run() { run node "$here/node.js" "$1"; }

# --- Data ---------------------------------------------------------------------

sqlite_packages() { echo sqlite3; }
sqlite_probe() { have sqlite3; }
sqlite_prepare() { sed "s/@SIZE@/$1/" "$here/sqlite.sql" >sqlite.sql; }
sqlite_run() { run sqlite3 -batch :memory: <sqlite.sql; }

jq_packages() { echo jq; }
jq_probe() { have jq; }
jq_prepare()
{
    awk -v n="$((10000 * $1))" 'BEGIN {
        print "["
        for (i = 1; i <= n; i++)
            printf "%s{\"name\": \"name %d\", \"kind\": \"kind %d\", " \
                   "\"number\": %d, \"tags\": [\"t%d\", \"t%d\"], " \
                   "\"deep\": {\"list\": [%d, %d.5, null, true]}}\n",
                   i == 1 ? "" : ",", i * 7919 % 100003, i % 17, i * 31 % 1009,
                   i % 5, i % 11, i % 301, i % 97
        print "]"
    }' >words.json
}
jq_run() { run jq -c -f "$here/words.jq" words.json; }

vim_packages() { echo vim; }
vim_probe() { have vim; }
vim_prepare()
{
    awk -v n="$((20000 * $1))" 'BEGIN {
        for (i = 1; i <= n; i++)
            print i * 7919 % 100003, "some word", i % 101, "of line", i
    }' >vim.in
}
vim_run()
{
    run vim -es -u NONE -i NONE -n -S "$here/vim.vim" vim.in </dev/null
    cksum <vim.out
}

# --- Development --------------------------------------------------------------

git_packages() { echo git; }
git_probe() { have git; }
git_prepare()
{
    rm -rf origin.git
    git init -q --bare -b main origin.git
    awk -v n="$((300 * $1))" 'BEGIN {
        for (i = 1; i <= n; i++) {
            print "commit refs/heads/main"
            print "committer A U Thor <author@example.com>", \
                  1000000000 + i * 60, "+0000"
            print "data <<END\nChange number " i "\n\nA reason.\nEND"
            for (j = 0; j < 3; j++) {
                print "M 100644 inline dir" (i + j) % 7 "/file" i * 31 % 40 + j
                print "data <<END"
                for (k = 0; k < 150; k++)
                    print "line", k, (i + k) % 13 == 0 ? i : "same", i % 40
                print "END"
            }
        }
    }' | git -C origin.git fast-import --quiet
}
git_run()
{
    rm -rf clone
    run_sum git -C origin.git log --stat --summary
    run_sum git -C origin.git log -p -M -n 200 -- dir3
    run git clone -q origin.git clone 2>/dev/null
    run git -C clone gc -q --aggressive 2>/dev/null
    run git -C clone fsck --full --no-progress 2>&1
    run_sum git -C clone grep -c same -- 'dir1/*'
    run_sum git -C clone blame dir0/file24
    run git -C clone status --porcelain
}

gcc_packages() { echo gcc; }
gcc_probe() { have gcc && [ -f "$BUILDDIR/config.h" ]; }
gcc_run()
{
    flags="-DHAVE_CONFIG_H -I$BUILDDIR -I$SRCDIR/include"
    files=0
    for file in "$SRCDIR"/lib/[a-c]*.c; do
        # shellcheck disable=SC2086
        run gcc -std=gnu11 -O2 -g $flags -c -o object.o "$file"
        cksum <object.o
        files=$((files + 1))
        [ "$files" -lt $((3 * $1)) ] || break
    done
}

gdb_packages() { echo gdb; }
gdb_probe()
{
    have gdb && [ -f "$BUILDDIR/lib/.libs/libarena.so" ]
}
gdb_run()
{
    set -- gdb -nx --batch -iex 'set debuginfod enabled off' \
        -iex 'set auto-load no'
    run_sum "$@" -ex 'info functions arena_' -ex 'info types .' \
        -ex 'info line arena_malloc' -ex 'ptype struct thread' \
        -ex 'disassemble arena_realloc' \
        "$BUILDDIR/lib/.libs/libarena.so" 2>&1
    # Larger, if it is there.
    [ "$size" -gt 1 ] && have node || return 0
    run_sum "$@" -ex 'info functions vector.*push' -ex 'info variables kind' \
        "$(command -v node)" 2>&1
}

# --- Servers ------------------------------------------------------------------

# serve COMMAND...: in the background, as server
serve()
{
    # Not by run, which would be a shell of its own.
    # shellcheck disable=SC2086
    $RUN "$@" &
    server=$!
    trap 'kill "$server"' EXIT
}

served()
{
    trap - EXIT
    status=0
    wait "$server" || status=$?
    echo "exit status $status"
}

# Wait for up to ten seconds until a command succeeds.
until_up()
{
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || return 1
        sleep 0.05
    done
}

nginx_packages() { echo nginx-light apache2-utils; }
nginx_probe() { have nginx ab; }
nginx_prepare()
{
    port=$((20000 + $$ % 10000))
    mkdir -p www
    awk 'BEGIN { for (i = 0; i < 400; i++) print "<p>a line", i, "</p>" }' \
        >www/page.html
    echo "$port" >nginx.port
    cat >nginx.conf <<END
daemon off;
worker_processes 2;
pid $PWD/nginx.pid;
error_log $PWD/nginx.err;
events { worker_connections 256; }
http {
    access_log off;
    types { text/html html; }
    client_body_temp_path $PWD/body;
    proxy_temp_path $PWD/proxy;
    fastcgi_temp_path $PWD/fastcgi;
    uwsgi_temp_path $PWD/uwsgi;
    scgi_temp_path $PWD/scgi;
    server {
        listen 127.0.0.1:$port;
        root $PWD/www;
        gzip on;
        location /list/ { alias $PWD/www/; autoindex on; }
        location /proxy/ { proxy_pass http://127.0.0.1:$port/; }
    }
}
END
}

# New workers for old ones.
nginx_renew()
{
    old=$(pgrep -P "$server")
    kill -HUP "$server"
    for worker in $old; do
        until_up sh -c "! kill -0 $worker"
    done
}

nginx_run()
{
    url=http://127.0.0.1:$(cat nginx.port)
    : >nginx.err
    serve nginx -p "$PWD" -c "$PWD/nginx.conf" 2>nginx.start
    until_up ab -n 1 "$url/page.html"
    for page in page.html proxy/page.html list/; do
        ab -q -k -n $((5000 * $1)) -c 20 -H 'Accept-Encoding: gzip' \
            "$url/$page" 2>&1 \
            | grep -E '^(Complete|Failed|Non-2xx|Document Length)'
        nginx_renew
    done
    kill -QUIT "$server"
    served
    # Workers that a signal ended.
    grep -c 'exited on signal' nginx.err || true
}

redis_packages() { echo redis-server redis-tools; }
redis_probe() { have redis-server redis-benchmark redis-cli; }
redis_run()
{
    rm -f redis.sock redis.rdb
    serve redis-server --port 0 --unixsocket "$PWD/redis.sock" --dir "$PWD" \
        --dbfilename redis.rdb --save '' --appendonly no \
        --enable-debug-command local >redis.log 2>&1
    until_up redis-cli -s redis.sock ping
    redis-benchmark -s redis.sock -n $((20000 * $1)) -c 20 -P 8 -q \
        -t set,get,incr,lpush,rpush,lpop,sadd,hset,zadd,lrange_100,mset \
        >/dev/null
    redis-cli -s redis.sock eval "for i = 1, 20000 do
        redis.call('hset', 'h' .. i % 100, 'f' .. i, string.rep('x', i % 300))
        redis.call('zadd', 'z' .. i % 10, i, 'm' .. i * 31 % 5000)
        redis.call('append', 's' .. i % 50, i) end return 'filled'" 0
    redis-cli -s redis.sock bgsave
    redis-benchmark -s redis.sock -n 20000 -c 20 -P 8 -q -t set,lpop \
        >/dev/null
    until_up sh -c \
        'redis-cli -s redis.sock info persistence \
            | grep -q rdb_bgsave_in_progress:0'
    redis-cli -s redis.sock info persistence \
        | grep rdb_last_bgsave_status
    redis-cli -s redis.sock dbsize
    redis-cli -s redis.sock strlen s7
    redis-cli -s redis.sock zrange z3 0 3
    redis-cli -s redis.sock hlen h42
    redis-cli -s redis.sock save
    redis-cli -s redis.sock debug reload 2>&1 | head -n 1
    redis-cli -s redis.sock dbsize
    redis-cli -s redis.sock shutdown nosave || true
    served
}

# --- Commands -----------------------------------------------------------------

command=$1 name=$2 size=${3:-1}
case $command in
package) "${name}_packages" ;;
probe) "${name}_probe" ;;
run) "${name}_run" "$size" ;;
prepare)
    case $name in
    sqlite | jq | vim | git | nginx) "${name}_prepare" "$size" ;;
    esac
    ;;
esac
