#!/usr/bin/env bash
# Gives the checkout $1 its .venv: a ready one of KERNELGATE_ENVS with the very same requirements, or a new one.
# Checkouts with the same requirements share it. PYTHON picks the interpreter.
set -euo pipefail

key=$("$(dirname "$0")/environment-key.sh" "$1")
cd "$1"
for environment in "${KERNELGATE_ENVS:-/opt/kernelgate/envs}/$key" "$RUNNER_TEMP/envs/$key"; do
  if [[ -e $environment/.ready ]]; then
    break
  fi
done
if [[ ! -e $environment/.ready ]]; then
  echo "installing the environment $key"
  make --silent setup VENV="$environment" PYTHON="${PYTHON:-python3}"
fi
ln -sfn "$environment" .venv
# For make: it was installed from these files as they are.
touch --date=2000-01-01 pyproject.toml constraints.txt
echo "environment $key: $environment"
