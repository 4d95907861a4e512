"""The formats that records are written in, and read back from."""
