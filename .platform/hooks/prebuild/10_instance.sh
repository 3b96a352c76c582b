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

# The folder of the figures for CloudWatch, which the application may not make.
figures=$(property BEANPOLE_CLOUDWATCH_METRICS)
case $figures in
/*)
    folder=$root$(dirname "$figures")
    mkdir -p "$folder" && chown webapp:webapp "$folder" 2>/dev/null
    [ -d "$folder" ] || echo "beanpole: no folder for $figures: nothing is scaled by sessions"
    ;;
esac
exit 0
