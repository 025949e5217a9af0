#!/usr/bin/env bash
# Checks out the commit that judges, beside the change, at $RUNNER_TEMP/base.
# BASE is what the event calls the base, PROPOSED the commit that a pull request proposes, empty for a push.
# Its full hash is the step's output `commit`.
set -euo pipefail

commit=$BASE
# GitHub merges a pull request into its base before the run: what it was merged into is the base of today.
merged=$(git rev-parse --verify --quiet 'HEAD^2' || true)
if [[ -n $merged && $merged == "$PROPOSED" ]]; then
  commit=$(git rev-parse 'HEAD^1')
fi
# A branch's first push has nothing before it. Then the commit judges itself, and all of it anew.
if [[ -z $PROPOSED && $commit =~ ^0*$ ]]; then
  commit=HEAD
fi
if ! git cat-file -e "$commit^{commit}"; then
  echo "::error title=kernelgate::the base commit '$commit' is not in this checkout: fetch the whole history"
  exit 1
fi
git worktree prune # of a job before, on a machine that keeps its checkout
git worktree add --quiet --detach "$RUNNER_TEMP/base" "$commit"
git -C "$RUNNER_TEMP/base" log -1 --format='commit=%H' >>"${GITHUB_OUTPUT:-/dev/null}"
echo "base: $(git -C "$RUNNER_TEMP/base" log -1 --format='%H %cs')"
