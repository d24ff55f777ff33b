"""What the trainings of photographs share: decoding, pictures, figures, and weights in pieces."""
