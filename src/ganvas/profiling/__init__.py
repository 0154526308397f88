"""How fast a recipe is here, and how many operations it takes."""
