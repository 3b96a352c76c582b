#!/usr/bin/env bash
# The tests on a slow machine: each package alone, with the race detector, under a load that leaves it little.
#
#   test/loaded.sh [-l busy|half] [-n times] [-r regexp] [package …]
#
#   busy   two programs for each core that do nothing but compute, beside the tests
#   half   the tests, and whatever they start, get half a core (a control group; without the right to make
#          one, a single core that they share with two such programs)
#
# Without -l one after the other, without packages all of them. Programs are built before the load begins. What
# fails is printed whole, and the end says how often each package ran and failed. A failure is a fault of the
# product or of the test: a time-out is made longer only where what is promised allows it.
set -uo pipefail
cd "$(dirname "$0")/.."

loads="busy half" times=1 run=.
while getopts l:n:r: o; do
  case $o in
    l) loads=$OPTARG ;;
    n) times=$OPTARG ;;
    r) run=$OPTARG ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- ./transport/... ./server/... ./adapter/... ./internal/... ./cmd/... ./examples/... ./test/...

dir=$(mktemp -d)
group="" pids=""
tidy() {
  for p in $pids; do kill "$p" 2>/dev/null; done
  pids=""
  # Programs that a test has left, if any, leave the group before it goes.
  if [ -n "$group" ]; then
    while read -r p; do echo "$p" >"$(dirname "$group")/cgroup.procs"; done <"$group/cgroup.procs"
    rmdir "$group"
  fi 2>/dev/null
  group=""
}
trap 'tidy; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

# compute starts n programs that compute, with a prefix for each.
compute() {
  local n=$1
  shift
  for _ in $(seq "$n"); do
    "$@" sh -c 'while :; do :; done' &
    pids="$pids $!"
  done
}

# half makes a group of half a core and names it in group.
half() {
  local root=/sys/fs/cgroup
  if [ -f $root/cpu/cpu.cfs_quota_us ] && mkdir "$root/cpu/loaded-$$"; then
    group=$root/cpu/loaded-$$
    echo 50000 >"$group/cpu.cfs_quota_us" && return
  elif [ -f $root/cgroup.controllers ] && mkdir "$root/loaded-$$"; then
    group=$root/loaded-$$
    echo "50000 100000" >"$group/cpu.max" && return
  fi 2>/dev/null
  tidy
  return 1
}

# As the tests of the examples and the image do, but for the linking.
go list -export ./... >/dev/null && CGO_ENABLED=0 go list -export -trimpath ./... >/dev/null || exit 1
names=()
while read -r name path; do
  out=$dir/$(tr / _ <<<"$name").test
  go test -race -c -o "$out" "$name" || exit 1
  names+=("$name $path $out")
done < <(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}} {{.Dir}}{{end}}' "$@")

status=0
for load in $loads; do
  under=()
  case $load in
    busy) compute $(($(nproc) * 2)) nice -n 0 ;;
    half)
      if ! half; then
        echo "no control group: one core with two other programs"
        under=(taskset -c 0)
        compute 2 taskset -c 0
      fi
      ;;
    *) echo "unknown load $load" >&2; exit 2 ;;
  esac
  for x in "${names[@]}"; do
    read -r name path bin <<<"$x"
    failed=0 begun=$SECONDS
    for _ in $(seq "$times"); do
      (
        [ -z "$group" ] || echo "$BASHPID" >"$group/cgroup.procs"
        cd "$path" && exec "${under[@]}" "$bin" -test.run "$run" -test.timeout 60m
      ) >"$dir/out" 2>&1 || { failed=$((failed + 1)); cat "$dir/out"; }
    done
    echo "$load: ${name#github.com/beanpole/beanpole/}: $failed of $times failed, $((SECONDS - begun)) s"
    [ $failed = 0 ] || status=1
  done
  tidy
done
exit $status
