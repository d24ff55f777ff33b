"""Trains the encoder of photographs within a given time, and measures it.

    python -m tools.train_faces --minutes 8 --photographs DIR --out OUT

`DIR` holds a folder of aligned photographs for each set; every third person of each is kept to measure on. Without
`DIR` it learns from drawn faces alone. `OUT` gets the weights in pieces, the log, sheets and the figures, again and
again while the training runs, so that an interrupted one leaves what it had. `--start OUT` goes on from there.
"""
