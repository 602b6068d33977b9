"""For experimenters: set-up, imports, preparation, launch."""
