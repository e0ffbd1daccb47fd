"""A client among neighbours that misbehave, by the seed: every promise is kept all the same."""
