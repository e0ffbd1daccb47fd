"""The vendor's protocol without any I/O: values to requests, bytes to values."""
