#!/bin/bash
# A change of configuration runs these hooks instead of hooks/.
exec "$(dirname "$0")/../../hooks/postdeploy/20_metrics.sh"
