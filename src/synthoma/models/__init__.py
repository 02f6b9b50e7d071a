"""Networks by name, their settings, and the file that carries a trained one."""
