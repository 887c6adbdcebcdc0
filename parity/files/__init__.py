"""Weight files of either framework, read and written tensor by tensor."""
