"""The report and the history as pages of one file: report.html."""
