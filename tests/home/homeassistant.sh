#!/usr/bin/env bash
# Installs Home Assistant outside the clone, once, and prints its folder: the newest version for which this machine has a
# Python. The first argument is "print" to print the folder alone.
set -euo pipefail
cache="$HOME/.cache/callbox-homeassistant"

# PYTHON VERSION FRONTEND, the newest first. These are the last versions for each Python.
choices=("3.13 2025.4.4 20250411.0" "3.11 2024.3.3 20240307.0")

python() {
    for candidate in "python$1" "$HOME"/.pyenv/versions/"$1".*/bin/python; do
        if "$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
            echo "$candidate"; return
        fi
    done
    return 1
}

for choice in "${choices[@]}"; do
    read -r version release frontend <<<"$choice"
    interpreter=$(python "$version") || continue
    folder="$cache/$release"
    if [ ! -e "$folder/installed" ]; then
        rm -rf "$folder"
        "$interpreter" -m venv "$folder" >&2
        "$folder/bin/python" -m pip install --quiet --disable-pip-version-check uv >&2
        constraints=$("$folder/bin/python" - <<'PYTHON'
import sysconfig
print(sysconfig.get_paths()["purelib"])
PYTHON
)
        "$folder/bin/uv" pip install --quiet --python "$folder/bin/python" "homeassistant==$release" >&2
        # What its integrations need, in the versions that it asks for.
        "$folder/bin/uv" pip install --quiet --python "$folder/bin/python" \
            -c "$constraints/homeassistant/package_constraints.txt" \
            paho-mqtt home-assistant-frontend aiohttp-fast-zlib numpy pillow hassil home-assistant-intents ha-ffmpeg mutagen >&2 || exit 1
        touch "$folder/installed"
    fi
    echo "$folder"
    exit 0
done
echo "Home Assistant needs Python 3.13 or 3.11" >&2
exit 1
