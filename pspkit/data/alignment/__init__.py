"""A photograph to the aligned picture of each face in it: finding faces, their landmarks, the crop of FFHQ."""
