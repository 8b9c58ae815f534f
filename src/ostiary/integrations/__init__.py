"""Integrations with web frameworks, one file for each.

They translate between the framework's objects and `ostiary.verifier`. They make no decisions of their own.
"""
