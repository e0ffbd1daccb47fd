"""What a caller gives, checked before it costs a call."""
