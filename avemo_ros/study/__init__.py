"""A study: many recordings of many people, in several conditions, to tables."""
