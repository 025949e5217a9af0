#!/usr/bin/env bash
# The runner's own hook before every job (ACTIONS_RUNNER_HOOK_JOB_STARTED): only the gate's jobs may go on.
# No pull request can edit it: it is installed outside of every checkout, and root owns it.
/usr/bin/python3 -I "${BASH_SOURCE[0]%/*}/job_started.py" && exit 0
# A hook that fails does not stop a step that says `if: always()` (StepsRunner.cs of actions/runner). Steps are
# processes that the runner's worker starts, so it must not start any more; if that cannot be had, it ends.
/usr/bin/prlimit --pid "$PPID" --nproc=0:0 || kill -KILL "$PPID"
exit 1
