#!/bin/bash
# A change of configuration restarts the application too, and runs these hooks instead of hooks/.
exec "$(dirname "$0")/../../hooks/predeploy/10_drain.sh"
