"""One Parquet dataset for each type of record, written run by run on one machine or on many."""
