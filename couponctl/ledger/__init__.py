"""The two tables: claims on them, questions about them, whether they agree and are fit for a sale."""
