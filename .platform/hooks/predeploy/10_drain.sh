#!/bin/bash
# Drains the running server before the platform stops nginx, which it does before it stops the application:
# clients that are not told until then find their connection cut.
#
# POST /drain on a listener that only this machine reaches closes the sessions a few at a time and answers
# when that is done. It resumes by itself if the deployment fails and the server goes on.
# Never fails the deployment: an old server without a drain is stopped as before.
set -u
# property NAME: an environment property of the application.
property() {
    local value=${!1:-}
    if [ -z "$value" ] && [ -x /opt/elasticbeanstalk/bin/get-config ]; then
        value=$(/opt/elasticbeanstalk/bin/get-config environment -k "$1" 2>/dev/null)
    fi
    echo "$value"
}

port=$(property BEANPOLE_ADMIN_PORT)
if [ -z "$port" ]; then
    port=$(property PORT)
    port=$((${port:-5000} + 1))
fi
url=http://127.0.0.1:$port/drain

drain() {
    "$@" curl --silent --show-error --fail --max-time 60 --request POST "$url" 2>&1
}

if pids=$(docker ps --quiet 2>/dev/null | xargs --no-run-if-empty docker inspect --format '{{.State.Pid}}' 2>/dev/null) && [ -n "$pids" ]; then
    # Docker platform: the listener is on the loopback of the container.
    for pid in $pids; do
        drain nsenter --target "$pid" --net || echo "beanpole: process $pid was not drained"
    done
else
    drain || echo "beanpole: nothing was drained (no server yet, or one without the listener)"
fi
exit 0
