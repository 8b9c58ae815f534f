"""Ostiary: secure token authentication."""
