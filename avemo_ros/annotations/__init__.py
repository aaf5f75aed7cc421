"""Labels of recordings: who felt what, from when to when, as people have annotated it."""
