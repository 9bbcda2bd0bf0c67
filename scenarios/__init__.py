"""What users run: scenarios, metrics, gates, reports and the command line."""
