#!/usr/bin/env bash
# Enters ROS and the package, and becomes the command.
. "/opt/ros/$ROS_DISTRO/setup.bash"
. /opt/avemo/tools/env.sh
exec "$@"
