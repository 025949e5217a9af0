"""A candidate's text: read and parsed, never imported."""
