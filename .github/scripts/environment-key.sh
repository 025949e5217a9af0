#!/usr/bin/env bash
# Prints what names the environment that the checkout $1 needs: its requirements, and the Python of PYTHON.
# Settings are not requirements: they stand in the same file, and change nothing that is installed.
set -euo pipefail

"${PYTHON:-python3}" -I - "$1" <<'PYTHON_SOURCE'
import hashlib, json, pathlib, sys, tomllib

checkout = pathlib.Path(sys.argv[1])
asked = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
parts = [sys.version_info[:3], asked.get("build-system"), asked.get("project")]
# The Makefile installs it.
parts += [(checkout / name).read_text(encoding="utf-8") for name in ("constraints.txt", "Makefile")]
print(hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16])
PYTHON_SOURCE
