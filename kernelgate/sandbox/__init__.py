"""The judge's side of an untrusted process: how it is started, asked, bounded and ended."""
