"""Getting the whole record out: the exports themselves, over the rooms that they are made of."""
