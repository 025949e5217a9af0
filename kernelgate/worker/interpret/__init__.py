"""Mode `interpret`: launch plans run on the interpreter of TTIR, with their memory watched."""
