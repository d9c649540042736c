"""`sweeper undo`: what a run changed is put back, where it still is as that run left it.

`claims` reads what a report says was changed, `plan` is pure, `stages` is the undo from top to
bottom, `report` what it says of itself, `app` and `conduct` put it together for whoever starts it.
"""
