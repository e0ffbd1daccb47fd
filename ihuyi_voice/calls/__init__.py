"""One call, from a checked message to its end."""
