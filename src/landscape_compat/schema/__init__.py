"""What is stored and what was declared: shapes, fingerprints, drift, known shapes."""
