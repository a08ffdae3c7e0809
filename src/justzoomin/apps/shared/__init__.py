"""What commands share: options, consoles, progress bars, and the names of the demo model and map."""
