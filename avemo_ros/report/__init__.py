"""Reports as single HTML files, with figures to explore and to save.

They are made where people evaluate, never on the robot: only this folder uses Jinja2 and
plotly, and no node imports it.  Most sentences of a page stand in its file in `templates/`;
those that the terminal prints too come from `replay`.
"""
