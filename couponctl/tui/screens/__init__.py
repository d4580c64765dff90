"""One module a mode, and the modal screens that lie over them."""
