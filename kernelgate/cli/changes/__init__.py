"""The subcommands that the workflow runs: of a change's kernels, and of the accepted ones."""
