"""Mode interpret: launch plans run where there is no GPU; no kernel file is ever imported here."""
