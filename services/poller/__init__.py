"""Watch git: observe tips, number them, hand trees to the renderer."""
