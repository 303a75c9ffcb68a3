#!/usr/bin/env bash
# Run once per machine: installs peers, speech and the models that judge it, into the environment of tests/echo.
set -euo pipefail
cd "$(dirname "$0")"
../../scripts/install-packages ethtool iproute2 baresip chromium
../echo/setup.sh en es
../echo/venv/bin/pip -q install pesq
