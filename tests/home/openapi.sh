#!/usr/bin/env bash
# Installs a validator for OpenAPI outside the clone, once, and prints its Python.
set -euo pipefail
folder="$HOME/.cache/callbox-openapi/0.7.2"
if [ ! -e "$folder/installed" ]; then
    rm -rf "$folder"
    python3 -m venv "$folder" >&2
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check openapi-spec-validator==0.7.2 >&2
    touch "$folder/installed"
fi
echo "$folder/bin/python"
