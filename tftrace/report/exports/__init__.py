"""Tables to files: the same columns as the DataFrames have."""
