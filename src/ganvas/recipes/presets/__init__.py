"""Recipes that reproduce published tutorials."""
