#!/usr/bin/env bash
# Opens a pull request with the records that were put under baselines/, and nothing else.
set -euo pipefail

if [[ -z $(git status --porcelain -- baselines) ]]; then
  echo "::error title=kernelgate::the records of run $RUN change nothing"
  exit 1
fi
branch=baseline/run-$RUN
git switch --quiet --create "$branch"
git add -- baselines
git -c user.name='github-actions[bot]' -c user.email='41898282+github-actions[bot]@users.noreply.github.com' \
  commit --quiet --message "Baseline: $REASON" --message "Measured by run $RUN."
gh auth setup-git
git push --quiet origin "$branch"
gh pr create --base main --head "$branch" --title "Baseline: $REASON" \
  --body "Measured by $GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$RUN. Close and reopen this pull request to start its gate: what a workflow's own token opens starts none."
