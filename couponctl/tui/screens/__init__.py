"""One module per mode, and the modal screens on top of them."""
