"""Subcommands that show what judgements have left."""
