#!/usr/bin/env bash
# Makes ready for one job, as root, each time before the runner starts: an empty home, a fresh copy of the
# runner's program, and a configuration from GitHub that is good for one job.
# The token stays with root: it is on no command line and reaches no process of the runner's user. PREFIX is
# another root folder, for tests.
set -euo pipefail
umask 077

user=kernelgate-runner
home=${PREFIX:-}/var/lib/kernelgate-runner
program=${PREFIX:-}/opt/kernelgate/runner
hook=${PREFIX:-}/opt/kernelgate/hook/job-started.sh
settings=${PREFIX:-}/etc/kernelgate
configuration=${PREFIX:-}/run/kernelgate/job.env
labels='["self-hosted", "linux", "x64", "gpu", "rtx4090"]'

fail() {
  echo "next-job: $1" >&2
  exit 1
}

rm -f "$configuration"
[[ -r $hook ]] || fail "the hook $hook is missing, which refuses foreign jobs: run install.sh again"
[[ -x $program/run.sh ]] || fail "the runner's program is not in $program: run install.sh with RUNNER_VERSION"
repository=$(<"$settings/repository")
[[ $repository =~ ^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$ ]] || fail "$settings/repository holds no owner/name: '$repository'"
[[ $(stat -c '%a %u' "$settings/token") == "600 $(id -u)" ]] || fail "$settings/token must be root's, with mode 600"

# Whatever the last job left behind.
pkill -KILL -u "$user" || [[ $? == 1 ]] || fail "the processes of $user cannot be ended"
find "$home" -xdev -mindepth 1 -delete
cp -R "$program" "$home/runner"
chown -R "$user:" "$home/runner"

name=kernelgate-$(uname -n | tr -cd 'A-Za-z0-9-' | cut -c 1-32)-$(date +%s)
request="{\"name\": \"$name\", \"runner_group_id\": 1, \"labels\": $labels, \"work_folder\": \"_work\"}"
answer=$(
  { printf 'Authorization: Bearer ' && tr -d '[:space:]' <"$settings/token"; } |
    curl --silent --show-error --fail-with-body --max-time 60 --header @- \
      --header 'Accept: application/vnd.github+json' --header 'X-GitHub-Api-Version: 2022-11-28' \
      --data "$request" "https://api.github.com/repos/$repository/actions/runners/generate-jitconfig"
) || fail "GitHub gives no configuration for $repository: ${answer:0:300}"
encoded=$(
  /usr/bin/python3 -I -c 'import json, sys; sys.stdout.write(json.load(sys.stdin)["encoded_jit_config"])' <<<"$answer"
) || fail "GitHub answered without a configuration"
[[ $encoded =~ ^[A-Za-z0-9+/]+=*$ ]] || fail "GitHub answered with what is no configuration"
mkdir -p "${configuration%/*}"
# systemd reads it as root, for the runner alone.
echo "ACTIONS_RUNNER_INPUT_JITCONFIG=$encoded" >"$configuration"
echo "next-job: $name waits for a job of $repository"
