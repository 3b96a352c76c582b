#!/bin/bash
# Has the CloudWatch agent stream the file with the application's figures. After the platform has told the agent of its
# own logs, since that begins with nothing else. Never fails the deployment.
set -u
agent=${1:-/opt/aws/amazon-cloudwatch-agent}

# property NAME: an environment property of the application.
property() {
    local value=${!1:-}
    if [ -z "$value" ] && [ -x /opt/elasticbeanstalk/bin/get-config ]; then
        value=$(/opt/elasticbeanstalk/bin/get-config environment -k "$1" 2>/dev/null)
    fi
    echo "$value"
}

figures=$(property BEANPOLE_CLOUDWATCH_METRICS)
environment=$(property BEANPOLE_ENVIRONMENT)
case $figures in
/*) ;;
*) exit 0 ;; # none, or among the lines of the log
esac
if [ ! -x "$agent/bin/amazon-cloudwatch-agent-ctl" ]; then
    echo "beanpole: no CloudWatch agent: nothing is scaled by sessions"
    exit 0
fi
config=$agent/etc/beanpole.json
cat >"$config" <<JSON
{"logs": {"logs_collected": {"files": {"collect_list": [{
  "file_path": "$figures",
  "log_group_name": "/aws/elasticbeanstalk/$environment/beanpole-metrics",
  "log_stream_name": "{instance_id}"
}]}}}}
JSON
"$agent/bin/amazon-cloudwatch-agent-ctl" -a append-config -m ec2 -s -c "file:$config" ||
    echo "beanpole: the CloudWatch agent does not take $config: nothing is scaled by sessions"
exit 0
