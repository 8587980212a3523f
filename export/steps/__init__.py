"""The steps of an export: `table.py` lists them in order, the other modules do them."""
