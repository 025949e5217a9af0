#!/usr/bin/env bash
# Fetches into the new folder $1 what the last nights measured on the GPU machine: a folder for each run.
set -euo pipefail

mkdir "$1"
gh run list --workflow nightly.yml --branch main --status completed --limit 60 --json databaseId --jq '.[].databaseId' |
  while read -r run; do
    gh run download "$run" --name guard-gpu --dir "$1/$run" || echo "run $run kept no reports of a GPU"
  done
for report in "$1"/*/guarded/*/report.json; do
  jq --exit-status '.stages.performance.result.type == "performance"' "$report" >/dev/null ||
    { echo "$report says nothing of the speed" && rm --force "$report"; }
done
