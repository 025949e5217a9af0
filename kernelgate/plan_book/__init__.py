"""Plan books: all launch plans that a judgement asks of a kernel file, as data that others may have made."""
