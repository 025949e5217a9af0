"""Who makes the calls of a case: by launch plans on a GPU or the interpreter, or of the file itself."""
