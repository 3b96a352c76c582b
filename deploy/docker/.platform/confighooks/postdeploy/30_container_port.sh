#!/bin/bash
# A change of configuration starts another container, and runs these hooks instead of hooks/.
exec "$(dirname "$0")/../../hooks/postdeploy/30_container_port.sh"
