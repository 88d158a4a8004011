"""Avowal makes a website do what its privacy policy says."""
