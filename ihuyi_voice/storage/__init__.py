"""SQLite or PostgreSQL for whoever must not forget; knows no table."""
