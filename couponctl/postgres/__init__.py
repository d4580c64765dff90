"""PostgreSQL: connecting, lending connections, translating errors, reading its activity."""
