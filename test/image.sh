#!/usr/bin/env bash
# The image of the Dockerfile, built as Beanstalk's Docker platform builds it, but by buildah, which needs no engine;
# then its program, as the image's user in the image's own files, with its health check and its stop.
#
#   test/image.sh
#
# Where the base image cannot be pulled, Debian with the Go of this machine takes its name: the base that the image is
# built from is then ours, and what the image consists of, apart from its certificates and the linker, is the same. Needs
# root, and 3 GB. KEEP=1 keeps the folder build/image.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=$PWD/build/image
mkdir -p "$dir"
b() { buildah --storage-driver vfs --root "$dir/store" --runroot "$dir/run" "$@"; }
pid=""
tidy() {
  status=$?
  if [ -n "$pid" ]; then kill -KILL "$pid" 2>/dev/null || true; fi
  if [ -z "${KEEP:-}" ]; then
    b umount --all >/dev/null 2>&1 || true
    b rm --all >/dev/null 2>&1 || true
    rm -rf "$dir"
  fi
  exit "$status"
}
trap tidy EXIT
trap 'exit 1' INT TERM
fail() {
  echo "image: $*" >&2
  exit 1
}

base=$(awk '$1 == "FROM" { print $2; exit }' Dockerfile)
if b pull -q "docker.io/library/$base" >"$dir/pull.log" 2>&1; then
  echo "base: $base, pulled"
else
  echo "base: $base cannot be pulled ($(tail -n 1 "$dir/pull.log" | cut -c 1-160)): Debian with $(go version | cut -d ' ' -f 3) of this machine"
  if [ ! -d "$dir/debian/etc" ]; then
    debootstrap --variant=minbase --include=ca-certificates bookworm "$dir/debian" http://deb.debian.org/debian >"$dir/debootstrap.log" ||
      fail "no Debian: $(tail -n 1 "$dir/debootstrap.log")"
  fi
  rm -rf "$dir/debian/usr/local/go"
  mkdir "$dir/debian/usr/local/go"
  goroot=$(go env GOROOT)
  cp -a "$goroot"/{VERSION,go.env,bin,lib,pkg,src} "$dir/debian/usr/local/go/"
  # A proxy of this network may have a root of its own.
  cp -L /etc/ssl/certs/ca-certificates.crt "$dir/debian/etc/ssl/certs/"
  from=$(b from scratch)
  tar -C "$dir/debian" -cf "$dir/debian.tar" .
  b add -q "$from" "$dir/debian.tar" /
  b config --env PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --env GOTOOLCHAIN=local "$from"
  b commit -q --format docker "$from" "docker.io/library/$base" >/dev/null
  b rm "$from" >/dev/null
  rm "$dir/debian.tar"
fi

# The format of Docker, as that of OCI has no health check.
b build --isolation chroot --format docker --pull=never --build-arg "APPLICATION=${APPLICATION:-./examples/chat}" -t beanpole . >"$dir/build.log" 2>&1 ||
  fail "$(tail -n 20 "$dir/build.log")"

# What the image says of itself, which an engine goes by.
about() { b inspect --type image --format "{{$1}}" beanpole; }
user=$(about .Docker.Config.User)
command=$(about '.Docker.Config.Cmd')
health=$(about '.Docker.Config.Healthcheck.Test')
port=$(about '.Docker.Config.ExposedPorts')
[ "$user" = 65532:65532 ] || fail "the user is $user"
[ "$command" = "[/bin/application]" ] || fail "the command is $command"
[ "$health" = "[CMD /bin/health /livez]" ] || fail "the health check is $health"
[ "$port" = "map[5000/tcp:{}]" ] || fail "the ports are $port"
c=$(b from --pull=never localhost/beanpole)
root=$(b mount "$c")
echo "image: $(du -sm "$root" | cut -f 1) MB: $(cd "$root" && find . -type f | sort | tr '\n' ' ')"
[ "$(find "$root" -type f | wc -l)" = 3 ] || fail "there is more in it than two programs and the certificates"

# A network of its own, so that the port is the image's; and the image's own variables, nothing of this machine.
mapfile -t variables < <(b inspect --type image --format '{{range .Docker.Config.Env}}{{println .}}{{end}}' beanpole | grep '=')
# shellcheck disable=SC2016 # the inner shell's own
unshare --net sh -c 'ip link set lo up && exec "$@"' sh \
  env -i "${variables[@]}" "$(command -v chroot)" --userspec="$user" "$root" /bin/application >"$dir/application.log" 2>&1 &
pid=$!
inside() { nsenter --net="/proc/$pid/ns/net" chroot --userspec="$user" "$root" "$@"; }
said=""
for _ in $(seq 200); do
  said=$(inside /bin/health http://127.0.0.1:5000/livez 2>&1) && break
  kill -0 "$pid" || fail "it ended: $(tail -n 5 "$dir/application.log")"
  sleep 0.1
done
inside /bin/health http://127.0.0.1:5000/livez || fail "the health check fails: $said; $(tail -n 5 "$dir/application.log")"
runs=$(awk '$1 == "Uid:" { print $2 }' "/proc/$pid/status")
[ "$runs" = 65532 ] || fail "it runs as $runs"
echo "running: as $runs, the health check is answered"
if inside /bin/health http://127.0.0.1:5000/nothing 2>/dev/null; then
  fail "the health check takes anything"
fi

# docker stop: SIGTERM, and SIGKILL 10 s later.
began=$(date +%s%N)
kill -TERM "$pid"
wait "$pid" && status=0 || status=$?
took=$((($(date +%s%N) - began) / 1000000))
pid=""
[ "$status" = 0 ] || fail "it ended with $status: $(tail -n 5 "$dir/application.log")"
[ "$took" -lt 10000 ] || fail "the stop took $took ms: Docker kills after 10 s"
echo "stopped: by SIGTERM, with status 0, after $took ms"
