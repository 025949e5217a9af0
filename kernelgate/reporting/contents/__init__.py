"""What the pages of a report say, as rows of text, whether they are Markdown or HTML."""
