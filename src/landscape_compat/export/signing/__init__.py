"""Records that are signed one by one, as the host signs them, and the checking of that."""
