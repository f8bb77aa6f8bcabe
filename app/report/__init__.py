"""The report: what acted alone, how often it was wrong, for whom, and who signed for it on which numbers; one file."""
