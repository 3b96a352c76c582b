#!/bin/bash
# Takes from an environment that is there what `eb create` and the console have sent, so that .ebextensions count.
#   .elasticbeanstalk/remove-sent-options.sh ENVIRONMENT
# Shows what is removed, and what holds afterwards. Needs the AWS CLI.
set -euo pipefail
environment=${1:?the name of the environment}
options=(
    aws:elasticbeanstalk:command,BatchSize
    aws:elasticbeanstalk:command,BatchSizeType
    aws:autoscaling:updatepolicy:rollingupdate,RollingUpdateEnabled
    aws:autoscaling:updatepolicy:rollingupdate,RollingUpdateType
)
remove=()
for o in "${options[@]}"; do
    remove+=("Namespace=${o%,*},OptionName=${o#*,}")
done
printf 'removing %s\n' "${remove[@]}"
aws elasticbeanstalk update-environment --environment-name "$environment" --options-to-remove "${remove[@]}" --query Status --output text
aws elasticbeanstalk wait environment-updated --environment-names "$environment"
application=$(aws elasticbeanstalk describe-environments --environment-names "$environment" --query 'Environments[0].ApplicationName' --output text)
aws elasticbeanstalk describe-configuration-settings --application-name "$application" --environment-name "$environment" --output table --query \
    "ConfigurationSettings[0].OptionSettings[?Namespace=='aws:elasticbeanstalk:command' || Namespace=='aws:autoscaling:updatepolicy:rollingupdate'].[Namespace,OptionName,Value]"
