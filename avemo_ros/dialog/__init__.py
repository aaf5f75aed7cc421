"""From steady emotions and a person's words to an answer that fits how the person feels."""
