#!/bin/bash
# Compares the platform's own nginx files with those this overlay was made for and logs a difference. A new
# platform version may bring a file that the replaced nginx.conf has to know about.
# Never fails the deployment.
set -u
root=${1:-/etc/nginx}
platform=$(cd "$(dirname "$0")/../.." && pwd)
known=$platform/nginx-stock.sha256
here=$platform/nginx

say() {
    echo "beanpole: $1"
    logger --tag beanpole -- "$1" 2>/dev/null
}

# Numbers computed at boot, blank lines and comments do not count.
digest() {
    sed -E -e 's/#.*//' -e 's/(worker_rlimit_nofile|server [0-9.]+:)[^;]*/\1 N/' -e 's/[[:space:]]+/ /g' -e '/^ ?$/d' "$1" |
        sha256sum | cut -d' ' -f1
}

cd "$root" 2>/dev/null || { say "no $root: nothing compared"; exit 0; }
different=0
while read -r file; do
    name=${file#./}
    [ -e "$here/$name" ] && continue # ours
    line=$(grep -E "^[^#]+  $name\$" "$known" || true)
    if [ -z "$line" ]; then
        say "$root/$name is new: see whether .platform/nginx/nginx.conf has to include or allow for it"
        different=1
    elif ! grep -qE "^$(digest "$file")  $name\$" "$known"; then
        say "$root/$name is not the one this overlay was made for: compare it and update .platform/nginx-stock.sha256"
        different=1
    fi
done < <(find . -path ./nginx.conf -print -o -path './conf.d/*' -type f -name '*.conf' -print)
version=$(nginx -v 2>&1 | sed 's/.*: //')
[ "$different" = 0 ] && say "nginx files are as known ($version)"
exit 0
