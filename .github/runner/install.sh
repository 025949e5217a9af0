#!/usr/bin/env bash
# Makes this machine the gate's GPU runner. Root runs it from a clone that root has read; docs/runner.md has the
# rest. Running it again changes what has changed: the environment after constraints.txt, the hook, the units.
#
#   REPOSITORY      owner/name, asked for if it is not known yet
#   TOKEN_FILE      file that holds the token, asked for if there is none yet
#   RUNNER_VERSION, RUNNER_SHA256   release of github.com/actions/runner to fetch, and its checksum from there
#   PYTHON          interpreter of the environment, and of the jobs' too: /usr/bin/python3
#   PREFIX          another root folder, for tests
set -euo pipefail
umask 022

clone=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
files=$clone/.github/runner
root=${PREFIX:-}
base=$root/opt/kernelgate
settings=$root/etc/kernelgate
home=$root/var/lib/kernelgate-runner
user=kernelgate-runner
export PYTHON=${PYTHON:-/usr/bin/python3}

main() {
  check_machine
  make_user
  write_settings
  install_files
  install_program
  install_environment
  start
}

fail() {
  echo "install: $1" >&2
  exit 1
}

check_machine() {
  [[ $(id -u) == 0 ]] || fail "run this as root: sudo .github/runner/install.sh"
  [[ $(uname -m) == x86_64 ]] || fail "the runner's program is for x86_64, this machine is $(uname -m)"
  grep -qx 'ID=ubuntu' "$root/etc/os-release" || fail "this is written for Ubuntu; $root/etc/os-release says otherwise"
  gpus=$(nvidia-smi -L) || fail "nvidia-smi does not answer: install NVIDIA's driver and restart the machine"
  grep '^GPU ' <<<"$gpus" || fail "nvidia-smi lists no GPU"
  grep -q 'RTX 4090' <<<"$gpus" || echo "install: no RTX 4090 among them: the label rtx4090 will not be true"
  for command in curl gcc git make nvidia-modprobe pkill; do
    command -v "$command" >/dev/null || fail "$command is missing: docs/runner.md names the packages"
  done
  local header='import os, sysconfig; print(os.path.join(sysconfig.get_paths()["include"], "Python.h"))'
  "$PYTHON" -I -c 'import ensurepip, venv' || fail "$PYTHON has no venv: install python3-venv"
  [[ -e $("$PYTHON" -I -c "$header") ]] || fail "Triton needs the headers of $PYTHON: install python3-dev"
}

make_user() {
  if ! id "$user" >/dev/null 2>&1; then
    useradd --system --user-group --home-dir "$home" --shell /usr/sbin/nologin "$user"
  fi
  local groups
  groups=$(id -nG "$user")
  [[ $groups == "$user" ]] || fail "$user must be in no other group (sudo, docker, ...), but is in: $groups"
  install -d -m 0755 "$base" "$base/hook" "$base/envs" "$settings"
  install -d -m 0700 "$home"
  chown "$user:" "$home"
}

write_settings() {
  if [[ -z ${REPOSITORY:-} && ! -e $settings/repository ]]; then
    read -r -p "Repository on GitHub, as owner/name: " REPOSITORY
  fi
  if [[ -n ${REPOSITORY:-} ]]; then
    [[ $REPOSITORY =~ ^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$ ]] || fail "REPOSITORY: owner/name, got '$REPOSITORY'"
    echo "$REPOSITORY" >"$settings/repository"
  fi
  if [[ -z ${TOKEN_FILE:-} && ! -e $settings/token ]]; then
    read -r -p "File that holds the fine-grained token: " TOKEN_FILE
  fi
  if [[ -n ${TOKEN_FILE:-} ]]; then
    [[ $(<"$TOKEN_FILE") =~ ^github_pat_[A-Za-z0-9_]+$ ]] || fail "TOKEN_FILE: $TOKEN_FILE holds no fine-grained token"
    install -m 0600 "$TOKEN_FILE" "$settings/token"
    echo "install: the token is in $settings/token, for root alone; now delete $TOKEN_FILE"
  fi
}

install_files() {
  install -m 0755 "$files/job-started.sh" "$base/hook/"
  install -m 0644 "$files/job_started.py" "$base/hook/"
  install -m 0755 "$files/next-job.sh" "$base/"
  install -d -m 0755 "$root/etc/systemd/system"
  install -m 0644 "$files"/kernelgate-*.service "$root/etc/systemd/system/"
}

install_program() {
  if [[ -z ${RUNNER_VERSION:-} ]]; then
    [[ -x $base/runner/run.sh ]] || fail "name the runner to fetch: RUNNER_VERSION and RUNNER_SHA256, from \
https://github.com/actions/runner/releases"
    return
  fi
  [[ $RUNNER_VERSION =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "RUNNER_VERSION: three numbers, such as 2.336.0"
  [[ ${RUNNER_SHA256:-} =~ ^[0-9a-f]{64}$ ]] || fail "RUNNER_SHA256: the 64 hexadecimal digits of the release page"
  local archive=actions-runner-linux-x64-$RUNNER_VERSION.tar.gz
  rm -rf "$base/runner.new" "$base/runner.old"
  mkdir "$base/runner.new"
  curl --fail --silent --show-error --location --output "$base/$archive" \
    "https://github.com/actions/runner/releases/download/v$RUNNER_VERSION/$archive"
  if ! sha256sum --check --status <<<"$RUNNER_SHA256  $base/$archive"; then
    rm "$base/$archive"
    fail "$archive does not have the checksum RUNNER_SHA256: nothing of it was unpacked"
  fi
  tar --extract --no-same-owner --file "$base/$archive" --directory "$base/runner.new"
  rm "$base/$archive"
  "$base/runner.new/bin/installdependencies.sh"
  if [[ -e $base/runner ]]; then
    mv "$base/runner" "$base/runner.old"
  fi
  mv "$base/runner.new" "$base/runner"
  rm -rf "$base/runner.old"
}

install_environment() {
  local key environment
  key=$("$clone/.github/scripts/environment-key.sh" "$clone")
  [[ $key =~ ^[0-9a-f]{16}$ ]] || fail "the key of the environment is not to be had: '$key'"
  environment=$base/envs/$key
  if [[ ! -e $environment/.ready ]]; then
    echo "install: building the environment $key, some 5 GB"
    # It is installed from a copy that stays, and that is root's.
    rm -rf "$environment" "$base/source"
    mkdir "$base/source"
    cp -R "$clone"/{Makefile,pyproject.toml,constraints.txt,README.md,LICENSE,kernelgate} "$base/source"
    PIP_NO_CACHE_DIR=1 make --silent --directory "$base/source" setup VENV="$environment" PYTHON="$PYTHON"
    chmod -R go-w "$environment"
  fi
  echo "install: environments in $base/envs: $(ls "$base/envs"); this clone needs $key"
}

start() {
  systemctl daemon-reload
  systemctl enable --now kernelgate-clocks.service || fail "the clocks: journalctl -u kernelgate-clocks"
  systemctl enable --now kernelgate-runner.service || fail "the runner: journalctl -u kernelgate-runner"
  echo "install: done. Settings > Actions > Runners of $(<"$settings/repository") lists the runner as Idle."
}

main "$@"
