"""What commands are built from: options, consoles, progress bars, names that stand for the demo's model and map."""
