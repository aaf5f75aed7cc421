# Enters the environment that `make setup` made:  . tools/env.sh   (bash or zsh)
#
# With a ROS installed, source it first:  . /opt/ros/jazzy/setup.bash && . tools/env.sh

_avemo_prepend() { # VARIABLE FOLDER: make it the first of the colon-separated list
    eval "_avemo_list=:\${$1-}:"
    while case "$_avemo_list" in *":$2:"*) true ;; *) false ;; esac; do
        _avemo_list="${_avemo_list%%":$2:"*}:${_avemo_list#*":$2:"}"
    done
    _avemo_list="${_avemo_list#:}"
    _avemo_list="${_avemo_list%:}"
    export "$1=$2${_avemo_list:+:$_avemo_list}"
}

_avemo_env() { # REPOSITORY
    _avemo_venv="$1/.venv"
    _avemo_install="$1/.ws/install"
    if [ ! -e "$1/.ws/ready" ]; then
        echo "avemo_ros: nothing to enter yet; run 'make setup' in $1" >&2
        return 1
    fi
    _avemo_ros="$(cat "$1/.ws/ros")"
    if [ "$_avemo_ros" != wheels ] && [ "$_avemo_ros" != "${ROS_DISTRO-}" ]; then
        echo "avemo_ros: built with ROS $_avemo_ros; source that first" >&2
        return 1
    fi
    export VIRTUAL_ENV="$_avemo_venv"
    unset PYTHONHOME
    _avemo_prepend PATH "$_avemo_venv/bin"
    if [ "$_avemo_ros" = wheels ]; then
        _avemo_prepend AMENT_PREFIX_PATH "$_avemo_venv"
        _avemo_prepend CMAKE_PREFIX_PATH "$_avemo_venv"
        _avemo_prepend LD_LIBRARY_PATH "$_avemo_venv/lib"
        # What ros_wheels_bootstrapper would do by starting every Python twice.
        while IFS= read -r _avemo_folder; do
            _avemo_prepend LD_LIBRARY_PATH "$_avemo_folder"
        done <<EOF
$(find "$_avemo_venv/lib" -maxdepth 3 -name 'ros_*.libs')
EOF
        export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
    fi
    _avemo_prepend PATH "$_avemo_install/bin"
    _avemo_prepend AMENT_PREFIX_PATH "$_avemo_install"
    _avemo_prepend CMAKE_PREFIX_PATH "$_avemo_install"
    _avemo_prepend LD_LIBRARY_PATH "$_avemo_install/lib"
    _avemo_prepend PYTHONPATH "$(find "$_avemo_install/lib" -maxdepth 2 -name site-packages)"
    # Buffers for raw images; the files say why.
    export FASTRTPS_DEFAULT_PROFILES_FILE="${FASTRTPS_DEFAULT_PROFILES_FILE:-$1/config/fastdds.xml}"
    export CYCLONEDDS_URI="${CYCLONEDDS_URI:-file://$1/config/cyclonedds.xml}"
    # Robots and laptops on one network do not hear each other unless asked to.
    export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"
}

if [ -n "${BASH_VERSION-}" ]; then
    _avemo_env "$(CDPATH="" cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
elif [ -n "${ZSH_VERSION-}" ]; then
    eval '_avemo_env "$(CDPATH="" cd "$(dirname "${(%):-%x}")/.." && pwd -P)"'
else
    echo "avemo_ros: tools/env.sh needs bash or zsh" >&2
    false
fi
