"""Trains the encoders of photographs for the tasks, one after another, within a given time, and measures them.

    python -m tools.train_face_tasks --photographs DIR --out OUT [--only sketch]

`DIR` is as `tools.train_faces` takes it. Every encoder learns from the same set: faces that the decoder draws in full,
among them some whose codes lie between those of two photographs, and the photographs themselves with the codes that
`encode` and some steps of refinement find for them. All have codes, so that one loss serves all. `OUT/NAME` gets the
weights of each encoder in pieces, its log, its sheets and its figures.
"""
