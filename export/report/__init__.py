"""What people look at: the terminal's tables and the bundle's HTML report."""
