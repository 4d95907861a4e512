"""What makes a bag of files evidence: its manifests, and the statement that explains it."""
