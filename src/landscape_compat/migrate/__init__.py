"""Ways forward for a database that no reader of today was written for."""
