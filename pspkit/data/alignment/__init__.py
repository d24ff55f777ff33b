"""From a photograph to an aligned picture of each face in it: finding faces and cropping them as FFHQ does."""
