"""Reports as single HTML files, with figures to explore and to save.

They are made where people evaluate, never on the robot: only this folder uses Jinja2 and
plotly, and no node imports it.  The sentences of a page stand in its file in `templates/`.
"""
