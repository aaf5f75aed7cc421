#!/usr/bin/env bash
# Installs the package as a robot does, without PyTorch and ROS, and tries it:
#
#   tools/try_python.sh PYTHON [REQUIREMENT...]     tools/try_python.sh python3.14 'numpy<2.4'
#
# Says what was installed and how large it is, how long `avemo predict` takes for the sample, and
# what the core's tests say.  What it made is removed; KEEP=1 keeps it.  docs/platforms.md has the
# results.
set -euo pipefail
CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly python=$1
shift
folder=$(mktemp -d)
readonly folder
[ -n "${KEEP-}" ] || trap 'rm -rf "$folder"' EXIT

if command -v uv >/dev/null; then
    uv venv -q --python "$python" "$folder/env"
    install=(uv pip install -q --python "$folder/env/bin/python")
else
    "$python" -m venv "$folder/env"
    install=("$folder/env/bin/pip" --disable-pip-version-check install -q --no-input)
fi
readonly install
# From a copy: building leaves files in the source.
tar --exclude=./.?* --exclude=./out --exclude=./runs -cf - . |
    tar -x --one-top-level="$folder/source" -f -
"${install[@]}" "$folder/source" "$@"
du -sh "$folder/env" | cut -f1 | sed 's/$/ installed, without PyTorch/'
"$folder/env/bin/python" - <<'PY'
import platform
from importlib.metadata import distributions

versions = {one.name: one.version for one in distributions()}
assert "torch" not in versions
print(platform.machine(), "Python", platform.python_version(), len(versions), "packages")
print(*(f"{name} {versions[name]}" for name in ("numpy", "onnxruntime", "opencv-python-headless")))
PY

cd "$folder"
start=$(date +%s.%N)
env/bin/avemo predict --quiet source/test/data/sample.mp4 >states.jsonl
echo "predict: $(date +%s.%N | awk -v start="$start" '{printf "%.1f", $1 - start}') s," \
    "$(wc -l <states.jsonl) estimates; the last:"
tail -n 1 states.jsonl | cut -c 1-200

"${install[@]}" 'pytest<9' pytest-timeout hypothesis psutil soxr
cd source/test
"$folder/env/bin/python" -m pytest -q -p no:cacheprovider test_engine.py test_pipeline.py \
    test_onnx_session.py test_audio_speech.py test_audio_vad.py test_state_estimator.py \
    test_vision_analyzer.py test_vision_face_networks.py 2>&1 | tail -n 15
