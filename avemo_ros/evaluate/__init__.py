"""Evaluation of models on data sets: metrics, intervals, corruption table, report."""
