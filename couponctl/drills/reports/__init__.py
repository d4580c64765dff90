"""The report of a drill: as text and files, compared, and saved."""
