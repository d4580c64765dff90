"""The schema that a drill or a bench creates for itself, and the check of the server before that."""
