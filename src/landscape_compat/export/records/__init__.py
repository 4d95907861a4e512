"""What is exported: stored rows as records, which of them, and in which order."""
