"""All that knows ELSPETH: the shapes and rules of its audit database, and how it is read."""
