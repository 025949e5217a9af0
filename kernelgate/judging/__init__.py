"""How a judgement is asked for, and made: from pytest, from the command line or from Python."""
