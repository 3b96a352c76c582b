#!/bin/bash
# Leads a port of the instance to the container: other instances forward requests of its sessions, and do not reach the
# address that it has on this instance's bridge. BEANPOLE_NODE_URL says which: http://:5000, without a host. Otherwise
# no port leads there. After a restart of the machine none does until the next deployment.
# Never fails the deployment.
set -u
# property NAME: an environment property of the application.
property() {
    local value=${!1:-}
    if [ -z "$value" ] && [ -x /opt/elasticbeanstalk/bin/get-config ]; then
        value=$(/opt/elasticbeanstalk/bin/get-config environment -k "$1" 2>/dev/null)
    fi
    echo "$value"
}

# chain TABLE FROM: a chain of our own, empty, which is the first that FROM goes through. Docker's own refuse what comes to a
# port that it has not published.
chain() {
    iptables -w 5 -t "$1" -N BEANPOLE 2>/dev/null || iptables -w 5 -t "$1" -F BEANPOLE
    iptables -w 5 -t "$1" -D "$2" -j BEANPOLE 2>/dev/null
    iptables -w 5 -t "$1" -I "$2" -j BEANPOLE
}

port=$(property BEANPOLE_NODE_URL)
case $port in
http://:*) port=${port#http://:} && port=${port%/} ;;
*) port= ;;
esac
if [ -z "$port" ] && ! iptables -w 5 -t nat -n -L BEANPOLE >/dev/null 2>&1; then
    exit 0 # nothing to lead, and nothing that was
fi
chain nat PREROUTING && chain filter FORWARD
[ -n "$port" ] || exit 0

container=$(docker ps --quiet | head -n 1)
address=$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' "$container" | cut -d' ' -f1)
inside=$(property PORT)
inside=${inside:-5000}
# Local: what the container itself sends to that port of another instance goes there.
if [ -n "$address" ] &&
    iptables -w 5 -t nat -A BEANPOLE -p tcp --dport "$port" -m addrtype --dst-type LOCAL -j DNAT --to-destination "$address:$inside" &&
    iptables -w 5 -t filter -A BEANPOLE -p tcp -d "$address" --dport "$inside" -j ACCEPT; then
    echo "beanpole: port $port leads to the container, $address:$inside"
else
    echo "beanpole: port $port leads to no container: sessions are not forwarded to this instance"
fi
exit 0
