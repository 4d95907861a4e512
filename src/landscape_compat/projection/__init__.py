"""How a stored table is shown in its declared shape: rules, prelude, statement scanning."""
