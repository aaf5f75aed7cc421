"""Labelled data sets, and the features computed from them."""
