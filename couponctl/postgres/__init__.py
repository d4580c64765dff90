"""PostgreSQL: connecting, lending connections, what its errors mean, what it is doing."""
