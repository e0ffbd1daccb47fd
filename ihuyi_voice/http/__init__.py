"""One wire request in, a raw reply out, or a word on whether it left."""
