#!/usr/bin/env bash
# Prints what names the environment that the checkout $1 needs: its requirements, and the Python of PYTHON.
set -euo pipefail

cd "$1"
{ "${PYTHON:-python3}" --version; cat pyproject.toml constraints.txt; } | sha256sum | cut -c 1-16
