#!/usr/bin/env bash
# Fails unless the open pull request NUMBER proposes the commit COMMIT for main right now.
set -euo pipefail

fail() {
  echo "::error title=kernelgate::$1"
  exit 1
}

[[ $GITHUB_REF == refs/heads/main ]] || fail "start this workflow from main: its gate and workflow are the trusted ones"
[[ $NUMBER =~ ^[1-9][0-9]{0,8}$ ]] || fail "number: digits only"
[[ $COMMIT =~ ^[0-9a-f]{40}$ ]] || fail "commit: the full hash, 40 hexadecimal digits"
proposed=$(gh api "repos/$GITHUB_REPOSITORY/pulls/$NUMBER" --jq '[.state, .base.ref, .head.sha] | join(" ")') \
  || fail "pull request $NUMBER cannot be read"
[[ $proposed == "open main $COMMIT" ]] \
  || fail "pull request $NUMBER is not open for main with this commit (state, base, commit: $proposed); read what is new"
echo "pull request $NUMBER proposes $COMMIT"
