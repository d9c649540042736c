"""What a person runs before the first sweep: what would work, what would not, and what mends it.

`look` asks, `problems` judges what was answered, `text` and `document` show it.
"""
