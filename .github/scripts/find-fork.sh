#!/usr/bin/env bash
# Finds the open pull request that proposes COMMIT from BRANCH of FORK, whose run RUN of gate has ended, and fetches
# the plans that this run kept into the new folder $1, as the zip that they are.
# Outputs `number`, empty if there is nothing to judge, and `plans`. All of it is asked of GitHub, nothing of the zip.
set -euo pipefail
export LC_ALL=C

fail() {
  echo "::error title=kernelgate::$1"
  exit 1
}

finish() {
  echo "nothing to judge: $1"
  exit 0
}

[[ $GITHUB_REF == refs/heads/main ]] || fail "this workflow is main's, not that of $GITHUB_REF"
[[ $RUN =~ ^[1-9][0-9]{0,19}$ ]] || fail "run: digits only"
[[ ${COMMIT:-} =~ ^[0-9a-f]{40}$ ]] || fail "commit: the full hash, 40 hexadecimal digits"
[[ $FORK =~ ^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$ && $FORK != "$GITHUB_REPOSITORY" ]] || fail "not the name of a fork"
here=repos/$GITHUB_REPOSITORY
run=$here/actions/runs/$RUN

from=$(gh api "$run" --jq '[.path, .event, .head_sha, .head_repository.full_name, .created_at] | join(" ")') \
  || fail "run $RUN cannot be read"
known='^\.github/workflows/gate\.yml(@[^ ]+)? pull_request '
[[ $from =~ $known && $from == *" $COMMIT $FORK "* ]] || fail "run $RUN is no run of gate for $COMMIT of $FORK, but: $from"
since=${from##* }

hosted=$(gh api "$run/jobs?per_page=100" --jq '[.jobs[] | select(.name == "hosted")][0].conclusion // "missing"')
[[ $hosted == success ]] || finish "job hosted ended with: $hosted"

numbers=()
while read -r number head repository; do
  if [[ $head == "$COMMIT" && $repository == "$FORK" && $number =~ ^[1-9][0-9]{0,8}$ ]]; then
    numbers+=("$number")
  fi
done < <(gh api --method GET "$here/pulls" --raw-field state=open --raw-field base=main \
  --raw-field "head=${FORK%%/*}:$BRANCH" --raw-field per_page=100 \
  --jq '.[] | "\(.number) \(.head.sha) \(.head.repo.full_name)"')
((${#numbers[@]} == 1)) || finish "${#numbers[@]} open pull requests propose $COMMIT for main"

# Of a run that was repeated, the newest.
plans=$(gh api "$run/artifacts?per_page=100" --jq '[.artifacts[] | select(.name == "plans" and (.expired | not))]
  | max_by(.created_at) // empty | "\(.id) \(.size_in_bytes) \(.created_at)"')
read -r id size made <<<"$plans" || true
# Running the pull request's verdict again ends in another run of this workflow: once is enough.
judged=$(gh api "$here/commits/$COMMIT/statuses?per_page=100" --jq '[.[] | select(.context == "kernelgate/fork"
  and .creator.login == "github-actions[bot]")][0].created_at // ""')
if [[ ${GITHUB_RUN_ATTEMPT:-1} == 1 && $judged > ${made:-$since} ]]; then
  finish "judged already, at $judged"
fi

if [[ -n ${id:-} ]]; then
  [[ $id =~ ^[0-9]+$ && $size =~ ^[0-9]+$ ]] || fail "the plans of run $RUN cannot be read"
  ((size <= 64 * 1024 * 1024)) || fail "the plans have $size bytes, allowed 64 MiB"
  mkdir "$1"
  gh api "$here/actions/artifacts/$id/zip" >"$1/plans.zip"
  echo "plans=true" >>"$GITHUB_OUTPUT"
fi
echo "number=${numbers[0]}" >>"$GITHUB_OUTPUT"
echo "pull request ${numbers[0]} proposes $COMMIT"
