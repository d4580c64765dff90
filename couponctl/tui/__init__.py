"""The console: a Textual app over the service, the drills and the saved runs."""
