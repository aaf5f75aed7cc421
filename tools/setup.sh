#!/usr/bin/env bash
# Makes the environment of this checkout: .venv (Python packages) and .ws (colcon workspace).
#
#   tools/setup.sh          what is missing or out of date; nothing to do takes a second
#   tools/setup.sh --build  and always install the package again (new and removed files)
#   tools/setup.sh --robot  only what runs on a robot: no PyTorch, no training, no tests; later
#                           calls keep to that until one has --full
#
# With ROS 2 sourced, .venv sees the system's packages and adds what rosdep cannot give; without,
# ROS comes from the PyPI wheels.  `make clean` removes both folders.
set -euo pipefail
CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly venv="$PWD/.venv" workspace="$PWD/.ws" locks=tools/requirements
readonly mode="${ROS_DISTRO:+ros}"
unset PYTHONHOME

say() { printf 'setup: %s\n' "$*"; }
fail() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

# Runs a command with its output in a log file; shows the log's end if the command fails.
logged() { # NAME COMMAND...
    local log="$workspace/setup-$1.log"
    shift
    "$@" >"$log" 2>&1 || {
        tail -n 30 "$log" >&2
        fail "failed: $*" "the whole output is in $log"
    }
}

digest() { sha256sum | cut -d' ' -f1; }
holds() { [ -e "$1" ] && [ "$(cat "$1")" = "$2" ]; } # FILE TEXT

check_tools() {
    local missing=() tool
    case "${ROS_DISTRO-}" in
        ardent | bouncy | crystal | dashing | eloquent | foxy | galactic | humble | iron)
            fail "ROS 2 $ROS_DISTRO is too old: this package needs Jazzy or newer" \
                "install ROS 2 Jazzy, or run this in a shell without ROS" ;;
    esac
    for tool in g++ make; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    [ ${#missing[@]} -eq 0 ] ||
        fail "missing: ${missing[*]}" "Debian, Ubuntu: sudo apt install build-essential"
    [ -z "$mode" ] || command -v colcon >/dev/null ||
        fail "missing: colcon" "sudo apt install python3-colcon-common-extensions"
    if [ -z "$mode" ] && [ "$(uname -sm)" != "Linux x86_64" ]; then
        fail "the ROS wheels are for Linux on x86-64, this is $(uname -sm)" \
            "install ROS 2 Jazzy, source it and run this again"
    fi
}

# The first Python that starts (pyenv's shims may not), is of a fitting version and complete.
find_python() {
    local candidate reasons=() probe
    # With a ROS it must be the Python that ROS was built for.
    for candidate in ${PYTHON:-$([ -n "$mode" ] && echo python3 /usr/bin/python3 ||
        echo python3.12 python3.11 python3.13 python3.14 python3.10 python3)}; do
        command -v "$candidate" >/dev/null || continue
        probe=$("$candidate" - "$mode" 2>&1 <<'EOF'
import os, sys, sysconfig

version = ".".join(map(str, sys.version_info[:2]))
if not (3, 10) <= sys.version_info[:2] <= (3, 14):
    sys.exit(f"is {version}, needed is 3.10 to 3.14")
try:
    import ensurepip, venv
except ImportError:
    sys.exit(f"cannot make environments: sudo apt install python{version}-venv")
if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
    sys.exit(f"has no headers to compile with: sudo apt install python{version}-dev")
if sys.argv[1]:
    try:
        import rclpy
    except ImportError:
        sys.exit("cannot import rclpy of the sourced ROS")
EOF
        ) && { echo "$candidate"; return; }
        reasons+=("  $candidate ${probe##*$'\n'}")
    done
    fail "no usable Python found (looked for 3.10 to 3.14)" "${reasons[@]}" \
        "or name one: make setup PYTHON=/path/to/python"
}

# The wheels name the include folders of the machine that built them.
mend_wheels() {
    local includes numpy
    includes=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    numpy=$("$venv/bin/python" -c 'import numpy; print(numpy.get_include())')
    find "$venv/share" -name '*.cmake' -exec sed -i -E \
        -e "s#/opt/python/cp[0-9]+-cp[0-9]+/lib/python[0-9.]+/site-packages/numpy/_core/include#$numpy#g" \
        -e "s#/opt/python/cp[0-9]+-cp[0-9]+/include/python[0-9.]+#$includes#g" {} +
}

# The path belongs to it because a moved environment does not work.
venv_digest() { # VERSION FILE...
    { echo "$1 $venv ${ROS_DISTRO:-}"; cat "${@:2}"; } | digest
}

make_venv() {
    local python version wanted files=("$locks"/{core,microphone}.lock)
    [ -n "$robot" ] || files+=("$locks"/{dev,train,torch}.lock)
    [ -n "$mode" ] || files+=("$locks/ros.lock")
    if [ -e "$venv/avemo.stamp" ]; then
        "$venv/bin/python" -V >/dev/null 2>&1 &&
            version=$("${PYTHON:-$venv/bin/python}" -V 2>&1) || version=broken
        wanted=$(venv_digest "$version" "${files[@]}")
        holds "$venv/avemo.stamp" "$wanted" && return
    fi
    python=$(find_python)
    say "Python packages for $("$python" -V) into .venv (a few minutes)"
    rm -rf "$venv" "$workspace"/{ready,build,install,log}
    logged venv "$python" -m venv ${mode:+--system-site-packages} "$venv"
    local pip=("$venv/bin/pip" --disable-pip-version-check install --no-input)
    local core="$locks/core.lock"
    # Messages of a ROS run only with the NumPy, 1 or 2, that they were built for: its own.
    if [ -n "$mode" ] && "$python" -c 'import numpy' 2>/dev/null; then
        core="$workspace/core.lock"
        grep -v '^numpy==' "$locks/core.lock" >"$core"
    fi
    local lists=(-r "$core")
    [ -n "$robot" ] || lists+=(-r "$locks/dev.lock" -r "$locks/train.lock")
    [ -n "$mode" ] || lists+=(-r "$locks/ros.lock")
    logged pip "${pip[@]}" --no-deps "${lists[@]}"
    [ -n "$robot" ] || logged torch "${pip[@]}" -r "$locks/torch.lock"
    [ -n "$mode" ] || mend_wheels
    version=$("$venv/bin/python" -V)
    venv_digest "$version" "${files[@]}" >"$venv/avemo.stamp"
}

# PyAudio is compiled; everything but the microphone node works without.
make_microphone() {
    "$venv/bin/python" -c 'import pyaudio' 2>/dev/null && return
    local lacking="the microphone node will not work (all else does):"
    if ! echo '#include <portaudio.h>' | g++ -E -x c++ - >/dev/null 2>&1; then
        say "$lacking PyAudio needs 'sudo apt install portaudio19-dev'; then run this again"
        return
    fi
    say "PyAudio for the microphone node"
    (logged pyaudio "$venv/bin/pip" --disable-pip-version-check install --no-input --no-deps \
        -r "$locks/microphone.lock") || say "$lacking PyAudio could not be compiled, see above"
}

# Of what decides the build: contents for what is compiled or configured, for all else, linked
# into the install tree one by one, the names.
workspace_digest() {
    {
        cat "$venv/avemo.stamp" CMakeLists.txt package.xml tools/executable.in msg/*.msg srv/*.srv
        find tools/{audio_common_msgs,bond,hri_msgs,speech_test_actions,tf2_msgs} -type f -exec cat {} +
        find . \( -path './.*' -o -name __pycache__ \) -prune -o -type f \
            \( -path './avemo_ros/*' -o -path './config/*' -o -path './launch/*' \
            -o -path './models/*' -o -path ./test/data/sample.mp4 \) -print | sort
    } | digest
}

make_workspace() { # [--build]
    local wanted paths=(.) package prefix found
    wanted=$(workspace_digest)
    holds "$workspace/ready" "$wanted" && [ "${1-}" != --build ] && return
    if [ -z "$mode" ]; then
        export AMENT_PREFIX_PATH="$venv" CMAKE_PREFIX_PATH="$venv"
        unset PYTHONPATH
    fi
    for package in audio_common_msgs bond hri_msgs speech_test_actions tf2_msgs; do
        found=
        # Only for tests.
        [ "$package$robot" != speech_test_actionsrobot ] || continue
        while IFS= read -r -d: prefix; do
            [ -d "$prefix/share/$package" ] && [ "$prefix" != "$workspace/install" ] && found=1
        done <<<"${AMENT_PREFIX_PATH-}:"
        [ -n "$found" ] || paths+=("tools/$package")
    done
    [ -e "$workspace/ready" ] || say "colcon workspace in .ws (a minute)"
    # Links to files that are gone would stay importable names.
    [ ! -d "$workspace/install" ] || find -L "$workspace/install" -type l -delete
    PATH="$venv/bin:$PATH" logged colcon colcon --log-base "$workspace/log" build \
        --build-base "$workspace/build" --install-base "$workspace/install" \
        --merge-install --symlink-install --paths "${paths[@]}" \
        --cmake-args -DBUILD_TESTING=OFF "-DPython3_EXECUTABLE=$venv/bin/python3" \
        -Wno-dev --no-warn-unused-cli
    echo "${ROS_DISTRO:-wheels}" >"$workspace/ros"
    echo "$wanted" >"$workspace/ready"
}

mkdir -p "$workspace"
case "${1-}" in
    --robot) touch "$workspace/robot" ;;
    --full) rm -f "$workspace/robot" ;;
    --build | '') ;;
    *) fail "unknown option $1; there are --build, --robot and --full" ;;
esac
robot=$([ ! -e "$workspace/robot" ] || echo robot)
readonly robot
exec 9>"$workspace/lock"
flock 9 # two at once would write over each other
check_tools
make_venv
make_microphone
make_workspace "${1-}"
say "ready; enter with: . tools/env.sh"
