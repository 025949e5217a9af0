"""What a change proposes, judged by the base commit, and GitHub's side of it."""
