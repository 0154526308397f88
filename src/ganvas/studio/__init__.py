"""`ganvas studio`: a page on this machine that starts, watches, controls and explores real runs.

The server never imports torch. Training runs in processes of its own that outlive the server; a third, the
engine, generates images for the page. The page's sources are in `web/`, its built files in `static/`.
"""
