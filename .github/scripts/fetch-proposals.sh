#!/usr/bin/env bash
# Fetches into the new folder $1, as zips, what the run RUN of this repository measured on the GPU machine.
set -euo pipefail

fail() {
  echo "::error title=kernelgate::$1"
  exit 1
}

[[ $GITHUB_REF == refs/heads/main ]] || fail "start this workflow from main: records are made for its kernels"
[[ $RUN =~ ^[1-9][0-9]{0,19}$ ]] || fail "run: digits only, the last part of the run's address"
run="repos/$GITHUB_REPOSITORY/actions/runs/$RUN"
from=$(gh api "$run" --jq '[.path, .head_repository.full_name, .status] | join(" ")') || fail "run $RUN cannot be read"
known='^\.github/workflows/(gate|fork|nightly)\.yml(@[^ ]+)? '
[[ $from =~ $known && ${from#* } == "$GITHUB_REPOSITORY completed" ]] \
  || fail "run $RUN is no completed run of gate, fork or nightly on a commit of this repository, but: $from"
mkdir "$1"
# Of a run that was repeated, the newest of each name.
gh api "$run/artifacts?per_page=100" --jq '[.artifacts[] | select(.name == "reports-gpu" or .name == "guard-gpu")]
  | group_by(.name) | map(max_by(.created_at)) | .[] | "\(.id) \(.size_in_bytes)"' |
  while read -r id size; do
    ((size <= 64 * 1024 * 1024)) || fail "artifact $id has $size bytes, allowed 64 MiB"
    gh api "repos/$GITHUB_REPOSITORY/actions/artifacts/$id/zip" >"$1/$id.zip"
  done
compgen -G "$1/*.zip" >/dev/null || fail "run $RUN kept no reports of a GPU: take a run whose job gpu judged"
