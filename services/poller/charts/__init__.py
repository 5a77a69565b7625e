"""Charts of chart repositories: ask which there are, fetch the archives that locks name, hand them to the renderer."""
