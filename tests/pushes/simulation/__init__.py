"""Receivers of pushes that die, and handlers that misbehave, by the seed."""
