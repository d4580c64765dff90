"""The two tables: claims, queries, the audit, and whether they are fit for a sale."""
