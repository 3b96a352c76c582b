#!/usr/bin/env bash
# Beanpole in an account of AWS: makes environments, looks at them while they are changed, and deletes everything.
#
#   test/account/nightly.sh [--dry-run] [CASE …]
#
# A case is go-alb, docker-alb, go-nlb or docker-nlb; without one, all four, one after the other. --dry-run asks a small
# account of its own instead of AWS (fake/aws), and makes nothing. docs/nightly.md has what it needs, costs and says.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit

: "${LIMIT_MINUTES:=360}" # all of it; then everything is deleted
: "${STEP_MINUTES:=30}"   # a wait for AWS
: "${EVERY:=15}"          # seconds between two looks
: "${PROFILE:=aws-elasticbeanstalk-ec2-role}" "${SERVICE_ROLE:=aws-elasticbeanstalk-service-role}"
: "${REPORT:=build/nightly.txt}"

prefix=beanpole-nightly
stamp=$(date -u +%m%d%H%M%S)
app=$prefix-$stamp
work=$(mktemp -d)
if [ "${1:-}" = --dry-run ]; then
  shift
  PATH=$PWD/test/account/fake:$PATH
  export ACCOUNT=${ACCOUNT:-$work/account}
  EVERY=0
  mkdir -p "$ACCOUNT"
fi
[ $# -gt 0 ] || set -- go-alb docker-alb go-nlb docker-nlb
for case in "$@"; do
  case $case in
    go-alb | docker-alb | go-nlb | docker-nlb) ;;
    *) echo "no case $case: go-alb, docker-alb, go-nlb, docker-nlb" >&2; exit 64 ;;
  esac
done
mkdir -p "$(dirname "$REPORT")"
: >"$REPORT"
failures=0 environments="" watcher="" bucket="" versions="" made=""

eb() { aws elasticbeanstalk "$@"; }
say() { printf '%s  %s\n' "$(date -u +%H:%M:%S)" "$*" | tee -a "$REPORT"; }
bad() { failures=$((failures + 1)); say "FAILED  $*"; }
nap() { sleep "$EVERY" & wait $!; } # a signal ends the wait

# until_ WHAT COMMAND … waits until the command is true.
until_() {
  local what=$1 end=$((SECONDS + STEP_MINUTES * 60)) began=$SECONDS
  shift
  until "$@"; do
    if [ $SECONDS -ge $end ]; then bad "$env: $what: not within $STEP_MINUTES minutes"; return 1; fi
    nap
  done
  say "$env: $what, after $((SECONDS - began)) s"
}
environment() { eb describe-environments --environment-names "$1" --query "Environments[0].[$2]" --output text; }
ready() { [ "$(environment "$env" 'Status,Health' | tr '\t' ' ')" = "Ready Green" ]; }
gone() { local s; s=$(environment "$1" Status) && { [ "$s" = Terminated ] || [ "$s" = None ]; }; }
group() { eb describe-environment-resources --environment-name "$env" --query 'EnvironmentResources.AutoScalingGroups[0].Name' --output text; }
serving() { # how many instances of the group are in service
  aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names "$(group)" \
    --query "length(AutoScalingGroups[0].Instances[?LifecycleState=='InService'])" --output text
}
are() { [ "$(serving)" = "$1" ] && ready; }
refreshed() {
  [ "$(aws autoscaling describe-instance-refreshes --auto-scaling-group-name "$(group)" --instance-refresh-ids "$1" \
    --query 'InstanceRefreshes[0].Status' --output text)" = Successful ]
}

# options prints what the bundle sets, a line "namespace option value" each.
options() {
  awk '/^option_settings:/ { inside = 1; next }
    /^[^ #]/ { inside = 0 }
    inside && /^  [a-z]/ { sub(/:$/, "", $1); space = $1; next }
    inside && /^    [A-Za-z]/ {
      line = $0; sub(/^ +/, "", line); name = line; sub(/:.*/, "", name); sub(/^[^:]*: */, "", line)
      gsub(/^["\047]|["\047]$/, "", line); print space "\t" name "\t" line
    }' "$1"/.ebextensions/*.config
}

# settings compares what the environment has with what the bundle says.
settings() {
  local space name want got n=0 differ=0
  eb describe-configuration-settings --application-name "$app" --environment-name "$env" --output text \
    --query 'ConfigurationSettings[0].OptionSettings[].[Namespace,OptionName,Value]' >"$work/has" || { bad "$env: its settings cannot be read"; return; }
  while IFS=$'\t' read -r space name want; do
    n=$((n + 1))
    if ! got=$(awk -F '\t' -v s="$space" -v o="$name" '$1 == s && $2 == o { print $3; found = 1; exit } END { exit !found }' "$work/has"); then
      bad "$env: $space $name is not set"
      differ=$((differ + 1))
      continue
    fi
    case $want in '`'* | '{'*) continue ;; esac # a function of CloudFormation, a document: what it became is AWS's
    if [ "$got" != "$want" ]; then
      bad "$env: $space $name is $got, and the bundle says $want"
      differ=$((differ + 1))
    fi
  done < <(options "$work/$env")
  say "$env: $n settings of the bundle read back, $differ differ"
}

# watched WHAT COMMAND … keeps clients connected while the command changes the environment and until it is well again.
watched() {
  local what=$1 status
  shift
  # With job control its SIGINT is not ignored: it ends the watch with what was seen until then.
  set -m
  beanpole doctor "$url" --watch "$((2 * STEP_MINUTES))m" --instances 2 >"$work/watch" 2>&1 &
  watcher=$!
  set +m
  nap
  "$@" || bad "$env: $what"
  nap
  kill -INT "$watcher" 2>/dev/null
  wait "$watcher"
  status=$?
  watcher=""
  sed "s/^/    /" "$work/watch" | tee -a "$REPORT"
  # When a machine is lost its clients notice: warnings, and failures too, are what is reported.
  if [ "$status" -ge 2 ] && [ "$what" != crash ]; then bad "$env: $what: doctor ends with $status"; fi
  say "$env: $what done"
}

deploy() { eb update-environment --environment-name "$env" --version-label "$env-2" --output text >/dev/null && nap && until_ "second version deployed" ready; }
configure() {
  eb update-environment --environment-name "$env" --output text --option-settings \
    Namespace=aws:elasticbeanstalk:application:environment,OptionName=BEANPOLE_LOG_LEVEL,Value=debug >/dev/null && nap && until_ "a property changed" ready
}
capacity() { aws autoscaling set-desired-capacity --auto-scaling-group-name "$(group)" --desired-capacity "$1" && until_ "$1 instances" are "$1"; }
crash() {
  local id
  id=$(aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names "$(group)" --query 'AutoScalingGroups[0].Instances[0].InstanceId' --output text) || return 1
  aws ec2 terminate-instances --instance-ids "$id" --output text >/dev/null && until_ "$id terminated" lost "$id" && until_ "another instance" are 2
}
lost() {
  ! aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names "$(group)" --query 'AutoScalingGroups[0].Instances[].InstanceId' --output text | grep -q "$1"
}
refresh() {
  local id
  id=$(aws autoscaling start-instance-refresh --auto-scaling-group-name "$(group)" --preferences MinHealthyPercentage=100 --query InstanceRefreshId --output text) || return 1
  until_ "instances refreshed" refreshed "$id" && until_ "well again" are 2
}

# run_case makes one environment, and stops at the first thing without which the rest says nothing.
run_case() {
  local platform=${1%-*} balancer=application stack flags=()
  env=bp-$stamp-$1 # 40 letters at most
  [ "${1#*-}" = alb ] || { balancer=network; flags+=(--variant network-load-balancer); }
  if [ "$platform" = docker ]; then flags+=(--platform docker); fi
  stack=$(eb list-available-solution-stacks --query 'SolutionStacks' --output text | tr '\t' '\n' |
    grep "^64bit Amazon Linux 2023 .* running $([ "$platform" = go ] && echo 'Go 1' || echo Docker)$" | sort -V | tail -n 1)
  [ -n "$stack" ] || { bad "$env: no platform of Amazon Linux 2023"; return; }
  say "$env: $stack, $balancer load balancer"
  beanpole pack "${flags[@]}" --output "$work/$env.zip" >"$work/pack" 2>&1 || { bad "$env: pack: $(tail -n 3 "$work/pack")"; return; }
  python3 -m zipfile -e "$work/$env.zip" "$work/$env" || { bad "$env: the bundle cannot be read"; return; }
  for v in 1 2; do
    aws s3 cp --only-show-errors "$work/$env.zip" "s3://$bucket/$app/$env-$v.zip" || { bad "$env: upload"; return; }
    versions="$versions $env-$v"
    eb create-application-version --application-name "$app" --version-label "$env-$v" \
      --source-bundle "S3Bucket=$bucket,S3Key=$app/$env-$v.zip" --output text >/dev/null || { bad "$env: version $v"; return; }
  done
  environments="$environments $env" # before it is made: an answer may be lost
  eb create-environment --application-name "$app" --environment-name "$env" --version-label "$env-1" --solution-stack-name "$stack" \
    --tags Key=beanpole,Value=nightly --output text --option-settings \
    "Namespace=aws:elasticbeanstalk:environment,OptionName=LoadBalancerType,Value=$balancer" \
    "Namespace=aws:elasticbeanstalk:environment,OptionName=ServiceRole,Value=$SERVICE_ROLE" \
    "Namespace=aws:autoscaling:launchconfiguration,OptionName=IamInstanceProfile,Value=$PROFILE" >/dev/null || { bad "$env: not made"; return; }
  until_ "made" ready || return
  url=http://$(environment "$env" CNAME)
  settings
  beanpole doctor "$url" --deep --instances 2 >"$work/doctor" 2>&1
  status=$?
  sed "s/^/    /" "$work/doctor" | tee -a "$REPORT"
  [ "$status" -lt 2 ] || bad "$env: doctor ends with $status"
  watched "deployment" deploy
  watched "configuration" configure
  capacity 3 && watched "scale-in" capacity 2
  watched "crash" crash
  watched "instance refresh" refresh
  remove "$env"
}

# remove ends an environment and what it leaves: its logs are kept for a week by the bundle.
remove() {
  local log
  gone "$1" || eb terminate-environment --environment-name "$1" --force-terminate --output text >/dev/null || bad "$1: cannot be terminated"
  env=$1
  until_ "deleted" gone "$1" || return
  for log in $(aws logs describe-log-groups --log-group-name-prefix "/aws/elasticbeanstalk/$1/" --query 'logGroups[].logGroupName' --output text | sed 's/^None$//'); do
    aws logs delete-log-group --log-group-name "$log" || bad "$1: the log $log is left"
  done
  environments=" $environments "
  environments=${environments/ $1 / }
}

# Everything goes, whatever happened; what does not is named.
finish() {
  local status=$? e v
  trap '' INT TERM HUP EXIT
  if [ -n "$watcher" ]; then kill -KILL "$watcher" 2>/dev/null; fi
  [ "$status" = 0 ] || bad "ended early, with status $status"
  for e in $environments; do remove "$e"; done
  for v in $versions; do
    eb delete-application-version --application-name "$app" --version-label "$v" --delete-source-bundle || bad "the version $v is left"
  done
  if [ -n "$made" ]; then
    # Ends what is still in it, too.
    eb delete-application --application-name "$app" --terminate-env-by-force || bad "the application $app is left"
  fi
  kill "$guard" 2>/dev/null
  rm -rf "$work"
  say "$failures failures, $((SECONDS / 60)) minutes; the report is $REPORT"
  [ "$failures" = 0 ]
  exit $?
}

trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
# The time is up: as if somebody had ended it.
(
  trap 'kill $! 2>/dev/null; exit' TERM
  sleep "$((LIMIT_MINUTES * 60))" &
  wait $!
  kill -TERM $$
) >/dev/null 2>&1 &
guard=$!

command -v beanpole aws python3 >/dev/null || { say "beanpole, aws and python3 have to be in PATH"; exit 1; }
# What an earlier night has left, when its machine was lost, costs money.
for old in $(eb describe-applications --query "Applications[?starts_with(ApplicationName, '$prefix-')].ApplicationName" --output text | sed 's/^None$//'); do
  bad "$old is left from an earlier run: deleted"
  eb delete-application --application-name "$old" --terminate-env-by-force
done
bucket=$(eb create-storage-location --query S3Bucket --output text) || exit 1
made=yes
eb create-application --application-name "$app" --tags Key=beanpole,Value=nightly --output text >/dev/null || exit 1
for c in "$@"; do run_case "$c"; done
