#!/bin/bash
# A change of configuration runs these hooks instead of hooks/.
exec "$(dirname "$0")/../../hooks/prebuild/10_instance.sh"
