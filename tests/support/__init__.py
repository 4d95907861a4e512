"""What the tests share: generated databases, and the proof that a database was left alone."""
