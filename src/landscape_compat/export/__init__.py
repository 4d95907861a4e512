"""Getting the whole record out: records in the host's order, and the writers for them."""
