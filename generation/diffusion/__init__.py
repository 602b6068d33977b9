"""Recipes, pipelines and sampling. Pure torch, no Django."""
