"""Verifying a bag: each thing that may be wrong with one has a file of its own."""
