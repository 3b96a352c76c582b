#!/bin/bash
# What the application finds on the instance when it starts. Never fails the deployment.
set -u
root=${1:-}

# Ports from this machine to one address: the Docker platform's nginx knows the container by one, and each WebSocket
# takes a port. Default 32768-60999, which is 28,232; the application's own ports are below.
range=$root/proc/sys/net/ipv4/ip_local_port_range
echo "10240 65535" >"$range" 2>/dev/null || echo "beanpole: $range is as it was"

# property NAME: an environment property of the application.
property() {
    local value=${!1:-}
    if [ -z "$value" ] && [ -x /opt/elasticbeanstalk/bin/get-config ]; then
        value=$(/opt/elasticbeanstalk/bin/get-config environment -k "$1" 2>/dev/null)
    fi
    echo "$value"
}

# own FOLDER WITHOUT: a folder of the application, which may not make it itself; and what goes wrong without it.
own() {
    mkdir -p "$root$1" && chown -h webapp:webapp "$root$1" 2>/dev/null
    [ -d "$root$1" ] || echo "beanpole: no folder $1: $2"
}

# The figures for CloudWatch.
figures=$(property BEANPOLE_CLOUDWATCH_METRICS)
case $figures in
/*) own "$(dirname "$figures")" "nothing is scaled by sessions" ;;
esac

# The log for enhanced health, where the application writes it and not nginx. Its folder is in one of nginx's, which
# the application has to get through; files of nginx that are there become its own.
healthd=$(property BEANPOLE_HEALTHD_LOG)
case $healthd in
/*)
    own "$healthd" "enhanced health sees no requests"
    chmod o+x "$root$(dirname "$healthd")"
    # The folder is the application's, which may lay links there: to files that are not to become its own.
    find "$root$healthd/" -maxdepth 1 -type f -links 1 -name 'application.log.*' -exec chown -h webapp:webapp {} + 2>/dev/null
    ;;
esac
exit 0
