"""The model classes, one per file; a file is named after the method that fits its class."""
