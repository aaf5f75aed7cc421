"""Labelled data sets: who says what with which feeling, and the features made of it."""
