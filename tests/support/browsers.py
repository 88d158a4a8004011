"""A real Chromium and nginx, and a page with the script."""

import shutil

import pytest

CHROMIUM = shutil.which("chromium") or ""
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/opt/homebrew/bin") or ""
SCRIPT = '<script defer src="/avowal.js"></script><noscript><img src="/pixel.gif" alt=""></noscript>'
"""The elements that a page needs for Avowal."""
SCRIPTED_PAGE = f"<!doctype html><title>page</title>{SCRIPT}<a href='/two'>two</a><p>words"
"""A page with the script."""

needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="needs chromium: `apt install chromium`")
needs_chromium_and_nginx = pytest.mark.skipif(
    not (CHROMIUM and NGINX), reason="needs chromium and nginx: `apt install chromium nginx-light`"
)
